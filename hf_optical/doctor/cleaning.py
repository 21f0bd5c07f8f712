"""Write what is sound, and list what is not, with the reasons."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from hf_optical.doctor.examination import Examination
from hf_optical.doctor.kinds import kinds_of

__all__ = ["write_clean"]


def write_clean(examinations: Sequence[Examination], clean: str | Path, dropped: str | Path) -> tuple[int, int]:
    """Write the rows that have no defect of the chosen kinds, and those that have with all their reasons.

    Rows of the clean file keep all their fields. A dropped row has ``file``, ``row``, ``kinds`` (all that were found,
    most severe first), ``why`` and its fields. Both files are written whole or not at all.

    Args:
        examinations: In the order in which their rows are written.
        clean: A ``.jsonl`` file.
        dropped: Likewise.

    Returns:
        How many rows are in each.
    """
    counts = [0, 0]
    with _whole(Path(clean)) as kept, _whole(Path(dropped)) as left:
        for examination in examinations:
            for row, number, raw in _rows(examination):
                flags = int(examination.flags[row])
                if not flags & examination.drop:
                    counts[0] += 1
                    _write(kept, raw or {})
                    continue
                counts[1] += 1
                kinds = kinds_of(flags)
                why = [examination.details.get((row, kind), kind) for kind in kinds]
                about = {"file": examination.bitext.name, "row": number, "kinds": kinds, "why": why}
                _write(left, {**about, "fields": raw or {}})
    return counts[0], counts[1]


def _rows(examination: Examination) -> Iterator[tuple[int, int, dict[str, Any] | None]]:
    row = 0
    for chunk in examination.chunks():
        for number, raw in zip(chunk.numbers, chunk.raw, strict=True):
            yield row, number, raw
            row += 1


def _write(stream: TextIO, content: dict[str, Any]) -> None:
    stream.write(json.dumps(content, ensure_ascii=False, default=str) + "\n")


@contextmanager
def _whole(path: Path) -> Iterator[TextIO]:
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.partial")
    try:
        with scratch.open("w", encoding="utf-8", errors="backslashreplace") as stream:
            yield stream
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)
