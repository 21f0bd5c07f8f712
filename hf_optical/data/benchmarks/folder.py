"""The project's layout, written: texts by language, judgements, and a note of where they come from."""

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
    """A set on its way into a folder; texts may be iterators, so that no corpus is held in memory.

    Args:
        queries: By language: identifier, text, and optionally the English wording.
        corpus: By language: identifier and text, and optionally the title.
        qrels: Judgements by the tag of their file: ``"all"``, a query language, or ``"<query>-<document>"``.
        sentences: By document language.
        sentence_qrels: By document language.
    """

    queries: dict[str, Iterable[Text]]
    corpus: dict[str, Iterable[Text]]
    qrels: dict[str, list[Judged]]
    sentences: dict[str, list[Text]] = field(default_factory=dict)
    sentence_qrels: dict[str, list[Judged]] = field(default_factory=dict)


def write_folder(found: Collected, folder: Path, about: dict[str, Any]) -> Path:
    """Write a set into ``folder``, whole or not at all.

    Queries without a positive judgement cannot be scored; they are left out, counted in a message, and listed in
    ``left_out.tsv``.

    Args:
        found: The set.
        folder: Made here; if another process was first, its folder is kept.
        about: What ``source.json`` says: name, licence, citation.

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
    tags = [tag for tag in qrels if tag == "all" or tag.partition("-")[0] == language]
    return {query for tag in tags for query, _, grade in qrels[tag] if grade > 0}


def _judged_only(rows: Iterable[Text], answered: set[str], language: str, left_out: list[str]) -> Iterator[Text]:
    for row in rows:
        if row[0] in answered:
            yield row
        else:
            left_out.append(f"{language}\t{row[0]}\tno positive judgement")


def _write_texts(path: Path, rows: Iterable[Text], third: str = "text_en") -> int:
    from tqdm.auto import tqdm

    count = 0
    # No file name and no time in the header: the same texts are the same bytes.
    with path.open("wb") as raw, gzip.GzipFile("", "wb", 3, raw, 0) as stream:
        for row in tqdm(rows, desc=f"Writing {path.name}", delay=2, leave=False):
            content = {"_id": row[0], "text": row[1]}
            if len(row) > 2 and row[2]:
                content[third] = row[2]
            stream.write(json.dumps(content, ensure_ascii=False).encode() + b"\n")
            count += 1
    return count
