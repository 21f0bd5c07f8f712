"""Writing of the sound rows of examined files, and of the others with the reasons."""

from __future__ import annotations

import gzip
import io
import itertools
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, cast

from hf_optical.data.column_content import SAMPLED
from hf_optical.data.texts import text_fault
from hf_optical.doctor.clean_rows import RowWriter, agreed_names, clean_row
from hf_optical.doctor.examination import Examination
from hf_optical.doctor.kinds import kinds_of
from hf_optical.doctor.scripts import usual_script
from hf_optical.errors import InputError
from hf_optical.places import user_path, whole_file

__all__ = ["dropped_beside", "write_clean"]

_MOST_FIELDS = 4096  # number of rows of a file from which the columns of a TSV or CSV are collected


def dropped_beside(clean: str | Path) -> Path:
    """Return the path of the list of dropped rows, beside the cleaned file.

    Example:
        >>> dropped_beside("data/sw.clean.tsv").name
        'sw.clean.dropped.jsonl'
    """
    path = user_path(clean)
    return path.with_name(f"{path.name.removesuffix('.gz').rpartition('.')[0]}.dropped.jsonl")


def write_clean(examinations: Sequence[Examination], clean: str | Path, dropped: str | Path) -> tuple[int, int]:
    """Write the rows without a defect of the chosen kinds into one file, and the others with the reasons into another.

    Rows of the clean file keep all their fields. The two texts keep their column names if these are the same in all
    files and training recognises them, and are called ``en`` and ``xx`` otherwise. Rows that no reader accepts are
    never written to the clean file. A dropped row has the fields ``file``, ``row``, ``kinds`` (all that were found, the
    most severe first), ``why`` and ``fields``. After an error, existing files are unchanged.

    Args:
        examinations: Examined files, in the order in which their rows are written.
        clean: Path of a ``.jsonl``, ``.tsv`` or ``.csv`` file (also with ``.gz``) for the sound rows.
        dropped: Path of a ``.jsonl`` file for the other rows; no file is left there if there are none.

    Returns:
        The number of rows in each file.

    Raises:
        InputError: No row is left, the columns are swapped, the format is not supported, or a TSV cannot hold a text.
    """
    for examination in examinations:
        if examination.wrong_way is not None:
            raise InputError(*examination.wrong_way, path=examination.bitext.name)
    sample = [raw for examination in examinations for raw in _first(examination, SAMPLED)]
    columns = [(each.bitext.columns.source, each.bitext.columns.translation) for each in examinations]
    names = agreed_names(columns, sample, examinations[0].bitext.language)
    writer = RowWriter(user_path(clean), _fields(examinations, names))
    counts = [0, 0]
    with _whole(user_path(clean)) as kept, _whole(user_path(dropped)) as left:
        kept.write(writer.header())
        for examination, sides in zip(examinations, columns, strict=True):
            for row, number, raw in _rows(examination):
                flags = int(examination.flags[row])
                unfit = _unfit(raw, sides)
                if raw is not None and unfit is None and not flags & examination.drop:
                    counts[0] += 1
                    kept.write(writer.line(clean_row(raw, sides, names)))
                    continue
                counts[1] += 1
                kinds = kinds_of(flags) or ["unreadable"]
                why = [examination.details.get((row, kind), unfit or kind) for kind in kinds]
                about = {"file": examination.bitext.name, "row": number, "kinds": kinds, "why": why}
                left.write(json.dumps({**about, "fields": raw or {}}, ensure_ascii=False, default=str) + "\n")
        if not counts[0]:
            raise _nothing_left(examinations)
    if not counts[1]:
        user_path(dropped).unlink()  # an empty list would only raise the question what it is for
    return counts[0], counts[1]


def _unfit(raw: dict[str, Any] | None, sides: tuple[str, str]) -> str | None:
    """Return why a reader would refuse the row, or ``None``."""
    if raw is None:
        return "no pair of texts could be read"
    return next((fault for name in sides if (fault := text_fault(raw.get(name))) is not None), None)


def _nothing_left(examinations: Sequence[Examination]) -> InputError:
    """Build the error for files without a sound row, with the most frequent defects and a remedy."""
    counts: Counter[str] = Counter()
    for examination in examinations:
        counts.update(kind for flags in examination.flags for kind in kinds_of(int(flags) & examination.drop))
    rows = sum(len(examination.flags) for examination in examinations)
    found = ", ".join(f"{kind}: {count}" for kind, count in counts.most_common(3))
    remedy = "correct the file; --drop none keeps all rows that can be read"
    first = examinations[0].bitext
    if counts["script"] == rows and first.language:
        texts = [raw.get(first.columns.translation) for raw in _first(examinations[0], SAMPLED)]
        script = usual_script([text for text in texts if isinstance(text, str)])
        if script and script != first.language[4:]:
            remedy = f"if the language is written in this script, give --language {first.language[:3]}_{script}"
    return InputError(f"none of the {rows} rows is left ({found})", remedy, path=first.name)


def _first(examination: Examination, count: int) -> list[dict[str, Any]]:
    """Return the readable rows among the first ``count`` rows of a file."""
    return [raw for _, _, raw in itertools.islice(_rows(examination), count) if raw is not None]


def _fields(examinations: Sequence[Examination], names: tuple[str, str]) -> list[str]:
    """List the columns of all files: the two texts first, then all others that occur in the first rows."""
    found = dict.fromkeys(names)
    for examination in examinations:
        sides = (examination.bitext.columns.source, examination.bitext.columns.translation)
        for raw in _first(examination, _MOST_FIELDS):
            known = {name: raw[name] if isinstance(raw.get(name), str) else "" for name in sides}
            found.update(dict.fromkeys(clean_row({**raw, **known}, sides, names)))
    return list(found)


def _rows(examination: Examination) -> Iterator[tuple[int, int, dict[str, Any] | None]]:
    """Yield the index of each row, its number in the file, and the row as it was read."""
    row = 0
    for chunk in examination.chunks():
        for number, raw in zip(chunk.numbers, chunk.raw, strict=True):
            yield row, number, raw
            row += 1


@contextmanager
def _whole(path: Path) -> Iterator[TextIO]:
    """Open a text file, gzipped if its name says so, that replaces ``path`` at the end of the block."""
    with whole_file(path) as scratch, scratch.open("wb") as raw:
        packed = gzip.GzipFile(fileobj=raw, mode="wb", mtime=0) if path.suffix.lower() == ".gz" else raw
        with io.TextIOWrapper(cast(Any, packed), encoding="utf-8", errors="backslashreplace", newline="") as stream:
            yield stream
