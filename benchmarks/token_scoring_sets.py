"""What ``benchmarks/token_scoring.py`` measures on: retrieval sets, and held-out pairs for its one setting."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_optical.data.retrieval import read_retrieval_set
from hf_optical.evaluation.retrieval import queries_to_score

GROUP = 4  # consecutive sentences of a passage made of held-out bitext, as in ntrex_passage


@dataclass
class Questions:
    """Queries of one language, documents in English, judgements.

    Attributes:
        name: Of the set.
        language: Short code, as in the file names.
        kind: ``"sentences"`` (sentence against sentence), ``"passages"`` or ``"questions"``.
        queries: Text by id.
        documents: Text by id; the same for every language of a ``corpus``.
        qrels: Grades by query and document.
        corpus: Name under which the documents' vectors are kept.
        asked: Name under which the queries' vectors are kept.
    """

    name: str
    language: str
    kind: str
    queries: dict[str, str]
    documents: dict[str, str]
    qrels: dict[str, dict[str, int]]
    corpus: str
    asked: str


def evaluation_sets(
    data: Path, languages: list[str], sentences: int = 0, documents: int = 0, *, titles: bool = False
) -> Iterator[Questions]:
    """The sets that the claims are made on.

    Args:
        data: Holds ``eval/``.
        languages: Short codes.
        sentences: Of ntrex_bitext, ask so many of its queries (of all its documents), the same in every language;
            0 for all.
        documents: Of the questions' sets, keep the documents that answer any of these questions and so many in all,
            the others drawn; 0 for all.
        titles: Whether the documents are read with their titles.
    """
    asked = {"ntrex_passage": ("passages", languages), "ntrex_bitext": ("sentences", languages)}
    asked["afriqa"] = ("questions", [code for code in languages if code in ("ig", "rw")])
    asked["xorqa_in"] = ("questions", [code for code in languages if code == "mr"])
    for name, (kind, codes) in asked.items():
        if not codes:
            continue
        items = {code: read_retrieval_set(data / "eval" / name, code, use_titles=titles) for code in codes}
        kept = _kept(items, documents) if kind == "questions" and documents else None
        for code, item in items.items():
            queries = queries_to_score(item)
            if kind == "sentences" and sentences:
                queries = dict(random.Random(0).sample(sorted(queries.items()), sentences))
            qrels = {query: dict(item.qrels[query]) for query in queries}
            corpus = {name: text for name, text in item.corpus.items() if kept is None or name in kept}
            yield Questions(name, code, kind, queries, corpus, qrels, name, f"{name}.{code}")


def _kept(items: dict[str, Any], count: int) -> set[str]:
    answers = {d for item in items.values() for judged in item.qrels.values() for d, grade in judged.items() if grade}
    corpus = next(iter(items.values())).corpus
    others = random.Random(0).sample(sorted(set(corpus) - answers), count)
    return answers | set(others[: max(0, count - len(answers))])


def held_out_sets(data: Path, languages: list[str], most: int) -> Iterator[Questions]:
    """Sets made of bitext and questions on which no student was grown and nothing is reported.

    Sentences against sentences; sentences against passages of four consecutive ones; and the training questions of
    AfriQA against the training passages.

    Args:
        data: Holds ``bitext/<code>.dev.jsonl.gz`` and ``clir_train/afriqa.<code>.train.jsonl.gz``.
        languages: Short codes.
        most: Sentences of a language that are used.
    """
    for code in languages:
        rows = list(_rows(data / "bitext" / f"{code}.dev.jsonl.gz"))[:most]
        rows = rows[: len(rows) // GROUP * GROUP]
        queries = {f"q{i}": row["xx"] for i, row in enumerate(rows)}
        sentences = {f"d{i}": row["en"] for i, row in enumerate(rows)}
        passages = {
            f"p{i}": " ".join(row["en"] for row in rows[i * GROUP : (i + 1) * GROUP]) for i in range(len(rows) // GROUP)
        }
        alike: dict[str, dict[str, int]] = {}  # a sentence may stand several times
        for i, row in enumerate(rows):
            alike.setdefault(row["en"], {})[f"d{i}"] = 1
        judged = {f"q{i}": alike[row["en"]] for i, row in enumerate(rows)}
        yield Questions(
            "held_out", code, "sentences", queries, sentences, judged, f"held_out_sentences_{code}", f"held_out.{code}"
        )
        within = {q: {f"p{int(d[1:]) // GROUP}": 1 for d in found} for q, found in judged.items()}
        yield Questions(
            "held_out", code, "passages", queries, passages, within, f"held_out_passages_{code}", f"held_out.{code}"
        )
    english = list(_rows(data / "en_retrieval" / "train.jsonl.gz"))
    for code in languages:
        if code not in ("ig", "rw"):
            continue
        rows = list(_rows(data / "clir_train" / f"afriqa.{code}.train.jsonl.gz"))
        texts = [_passage(row) for row in rows] + [_passage(row) for row in english[:600]]
        documents = {f"d{i}": text for i, text in enumerate(dict.fromkeys(texts))}
        number = {text: name for name, text in documents.items()}
        queries = {f"q{i}": row["question"] for i, row in enumerate(rows)}
        judged = {f"q{i}": {number[_passage(row)]: 1} for i, row in enumerate(rows)}
        yield Questions(
            "held_out",
            code,
            "questions",
            queries,
            documents,
            judged,
            f"held_out_questions_{code}",
            f"held_out_questions.{code}",
        )


def _passage(row: dict[str, Any]) -> str:
    return str(row.get("passage_en") or row["passage"])


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        yield from (json.loads(line) for line in stream)
