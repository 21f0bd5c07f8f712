"""Reader of relevance judgements in the form of TREC qrels or in BEIR's tab-separated form."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from hf_optical.data.tables import open_bytes
from hf_optical.data.texts import excerpt
from hf_optical.errors import InputError

__all__ = ["Judgement", "read_qrels"]

_FORMS = "write 'query 0 document grade' (TREC), or 'query<TAB>document<TAB>grade' (BEIR)"


class Judgement(NamedTuple):
    """Judgement of one document for one query: a line of qrels.

    Attributes:
        query: Identifier of the query.
        document: Identifier of the document.
        grade: Relevance; above 0 means relevant.
        row: Line number in the file.
    """

    query: str
    document: str
    grade: int
    row: int


def read_qrels(path: Path) -> list[Judgement]:
    """Read judgements, in the order of the file.

    Args:
        path: TREC's form has four columns separated by white space: query, an ignored one, document and grade. BEIR's
            has three columns separated by tabs, and a header, which is recognised because its last cell is not a
            number.

    Returns:
        The judgements; repetitions of a line are omitted.

    Raises:
        InputError: A line has another number of columns, a grade is not an integer, a pair has two grades, or the file
            has no judgements.
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
                problem = f"the grade is {judgement.grade} for a pair that row {earlier.row} grades {earlier.grade}"
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
    """Return a grade as an integer, or ``None`` if it is not one."""
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
