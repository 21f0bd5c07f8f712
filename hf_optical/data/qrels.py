"""Relevance judgements: TREC qrels and BEIR's tab-separated form."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from hf_optical.data.tables import open_bytes
from hf_optical.data.texts import excerpt
from hf_optical.errors import InputError

__all__ = ["Judgement", "read_qrels"]

_FORMS = "write 'query 0 document grade' (TREC), or 'query<TAB>document<TAB>grade' (BEIR)"


class Judgement(NamedTuple):
    """One line of qrels."""

    query: str
    document: str
    grade: int
    row: int


def read_qrels(path: Path) -> list[Judgement]:
    """Read judgements, in the order of the file.

    Args:
        path: TREC: four columns (query, an ignored one, document, grade) at white space. BEIR: three columns at tabs,
            first a header. A header is recognised by its last column, which is not a number.

    Returns:
        The judgements; a line that repeats an earlier one exactly is left out.

    Raises:
        InputError: For a line of another shape, a grade that is not an integer, two grades for one pair, or no line.
    """
    found: dict[tuple[str, str], Judgement] = {}
    with open_bytes(path) as stream:
        for number, raw in enumerate(stream, start=1):
            line = _decoded(raw, path, number)
            parts = _split(line)
            if not parts or (number == 1 and len(parts) in (3, 4) and _grade(parts[-1]) is None):
                continue
            judgement = _judgement(parts, line, path, number)
            earlier = found.setdefault((judgement.query, judgement.document), judgement)
            if earlier.grade != judgement.grade:
                problem = f"grade {judgement.grade} for a pair that row {earlier.row} grades {earlier.grade}"
                raise InputError(problem, "keep one of the two", path=path, row=number)
    if not found:
        raise InputError("there are no judgements", _FORMS, path=path)
    return list(found.values())


def _decoded(raw: bytes, path: Path, number: int) -> str:
    try:
        return raw.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        problem = f"invalid UTF-8 (byte 0x{raw[error.start]:02X})"
        raise InputError(problem, "save the file as UTF-8", path=path, row=number) from None


def _split(line: str) -> list[str]:
    parts = line.split("\t")
    return [part.strip() for part in parts] if len(parts) in (3, 4) else line.split()


def _grade(text: str) -> int | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return int(value) if value.is_integer() else None


def _judgement(parts: list[str], line: str, path: Path, number: int) -> Judgement:
    if len(parts) not in (3, 4):
        raise InputError(f"found {len(parts)} columns: {excerpt(line)}", _FORMS, path=path, row=number)
    grade = _grade(parts[-1])
    if grade is None:
        problem = f"found {parts[-1]!r} where an integer is expected"
        raise InputError(problem, _FORMS, path=path, row=number, field="grade")
    return Judgement(parts[0], parts[-2], grade, number)
