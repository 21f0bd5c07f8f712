"""Tiny retrieval sets on disk, in which query ``q3`` is answered by document ``c3`` alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """One JSON object a line."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_retrieval_set(
    folder: Path, corpus: Mapping[str, Sequence[str]], queries: Mapping[str, Sequence[str]]
) -> Path:
    """A retrieval set of texts by language tag, with as many judgements as there are queries; its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, texts_by_tag in (("corpus", corpus), ("queries", queries)):
        for tag, texts in texts_by_tag.items():
            rows = [{"id": f"{kind[0]}{i}", "text": text} for i, text in enumerate(texts)]
            write_rows(folder / f"{kind}.{tag}.jsonl", rows)
    judged = len(next(iter(queries.values())))
    (folder / "qrels.all.trec").write_text("".join(f"q{i} 0 c{i} 1\n" for i in range(judged)))
    return folder
