"""Writer of the project's layout of retrieval sets: texts by language, judgements, and a note on their source."""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Collected", "write_folder"]

from hf_optical.places import whole_folder

logger = logging.getLogger(__name__)

Text = tuple[str, str] | tuple[str, str, str | None]
Judged = tuple[str, str, int]


@dataclass
class Collected:
    """Retrieval set to be written. Texts may be iterators, so that a corpus need not fit into memory.

    Args:
        queries: Identifier, text and optionally the English wording of each query, by FLORES code.
        corpus: Identifier, text and optionally the title of each document, by FLORES code.
        qrels: Query, document and grade of each judgement, by the tag of the file: ``"all"``, the language of the
            queries, or ``"<query>-<document>"``.
        sentences: Identifier and text of the documents' sentences, by FLORES code.
        sentence_qrels: Judgements of sentences, by FLORES code of the documents.
    """

    queries: dict[str, Iterable[Text]]
    corpus: dict[str, Iterable[Text]]
    qrels: dict[str, list[Judged]]
    sentences: dict[str, list[Text]] = field(default_factory=dict)
    sentence_qrels: dict[str, list[Judged]] = field(default_factory=dict)


def write_folder(found: Collected, folder: Path, about: dict[str, Any]) -> Path:
    """Write a set into a folder, which appears only when it is complete.

    Queries without a positive judgement cannot be scored. They are omitted, counted in a warning and listed in
    ``left_out.tsv``.

    Args:
        found: The set.
        folder: Folder to create. If another process creates it first, that one is kept.
        about: Content of ``source.json``: name, licence, citation.

    Returns:
        ``folder``.
    """
    with whole_folder(folder, keep_first=True) as scratch:
        counts: dict[str, int] = {}
        left_out: list[str] = []
        for language, rows in found.queries.items():
            kept = _judged_only(rows, _answered(found.qrels, language), language, left_out)
            counts[f"queries.{language}"] = _write_texts(scratch / f"queries.{language}.jsonl.gz", kept)
        for kind, texts in (("corpus", found.corpus), ("sentences", found.sentences)):
            for language, rows in texts.items():
                counts[f"{kind}.{language}"] = _write_texts(scratch / f"{kind}.{language}.jsonl.gz", rows, "title")
        dropped = {tuple(line.split("\t")[:2]) for line in left_out}
        for stem, judgements in (("qrels", found.qrels), ("qrels_sentences", found.sentence_qrels)):
            for tag, judged in judgements.items():
                asked = tag.partition("-")[0]
                lines = [f"{q} 0 {d} {g}\n" for q, d, g in judged if stem != "qrels" or (asked, q) not in dropped]
                (scratch / f"{stem}.{tag}.trec").write_text("".join(lines), encoding="utf-8")
        if left_out:
            head = "language\tquery\treason\n"
            (scratch / "left_out.tsv").write_text(head + "".join(f"{line}\n" for line in left_out), encoding="utf-8")
            logger.warning("%s: %d queries have no positive judgement; see left_out.tsv", folder, len(left_out))
        note = {**about, "counts": counts, "left_out": len(left_out)}
        (scratch / "source.json").write_text(json.dumps(note, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return folder


def _answered(qrels: dict[str, list[Judged]], language: str) -> set[str]:
    """Return the queries of a language that have a positive judgement."""
    tags = [tag for tag in qrels if tag == "all" or tag.partition("-")[0] == language]
    return {query for tag in tags for query, _, grade in qrels[tag] if grade > 0}


def _judged_only(rows: Iterable[Text], answered: set[str], language: str, left_out: list[str]) -> Iterator[Text]:
    """Yield the answered queries, and add a line for each of the others to ``left_out``."""
    for row in rows:
        if row[0] in answered:
            yield row
        else:
            left_out.append(f"{language}\t{row[0]}\tno positive judgement")


def _write_texts(path: Path, rows: Iterable[Text], third: str = "text_en") -> int:
    """Write texts as gzipped JSONL, with the third entry of each row under a given name, and return their number."""
    from tqdm.auto import tqdm

    count = 0
    # The gzip header has neither file name nor time, so that equal texts give equal bytes.
    with path.open("wb") as raw, gzip.GzipFile("", "wb", 3, raw, 0) as stream:
        for row in tqdm(rows, desc=f"Writing {path.name}", delay=2, leave=False):
            content = {"_id": row[0], "text": row[1]}
            if len(row) > 2 and row[2]:
                content[third] = row[2]
            stream.write(json.dumps(content, ensure_ascii=False).encode() + b"\n")
            count += 1
    return count
