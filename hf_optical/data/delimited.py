"""Reader of TSV and CSV files, with quoted cells, other separators and repeated headers."""

from __future__ import annotations

import csv
import itertools
import logging
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from hf_optical.data.byte_streams import numbered_lines, open_bytes
from hf_optical.data.records import Fault, Numbered, Records, Row
from hf_optical.data.texts import excerpt
from hf_optical.errors import InputError

__all__ = ["is_quoted_cell", "positions", "read_delimited", "renamed"]

logger = logging.getLogger(__name__)

_SEPARATORS = (",", ";", "\t")
_SAID = re.compile(rb'"?sep=([,;|\t])"?')
_LOOKED_AT = 20  # rows from which the separator is determined
_LONGEST_CELL = 100_000_000  # characters; the csv module's default of 131,072 is too small for a book in a cell
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
# The form in which pandas writes a TSV cell that contains quotes: in quotes, with the inner ones doubled.
_DOUBLED = re.compile(r'"(?=(?:[^"]|"")*"$)(?:[^"]*"")(?:[^"]|"")*"')


def read_delimited(path: Path, kind: str) -> Records:
    """Open a TSV or CSV file. The caller decides whether its first row is a header.

    TSV is split at tabs, and quotes are text, except in two forms that programs write: a cell in quotes that has
    doubled quotes inside is unquoted as in CSV, and a file whose whole first row is in quotes is read as CSV.

    CSV is split at commas, or at semicolons or tabs if these give columns and commas do not. Spreadsheets write it so
    in languages with a decimal comma.

    Args:
        path: The file.
        kind: ``".tsv"`` or ``".csv"``.

    Returns:
        Records whose rows have positions for names (``"1"``, ``"2"``, ...), with the unchanged first row in ``first``.

    Raises:
        InputError: The file cannot be read, is empty, or its first row is damaged.
    """
    cells = _csv_cells(path, _separator(path)) if kind == ".csv" else _tsv_cells(path)
    start = next(cells, None)
    if start is None:
        raise InputError("the file is empty", "give a file with at least one row", path=path)
    number, first = start
    if kind == ".tsv" and isinstance(first, list) and all(_QUOTED.fullmatch(cell) for cell in first):
        cells = _csv_cells(path, "\t")
        number, first = next(cells)
    if isinstance(first, Fault):
        raise InputError(first.problem, "correct the first row", path=path, row=number)
    named = (
        (index, row if isinstance(row, Fault) else _named(row, first))
        for index, row in itertools.chain([(number, first)], cells)
    )
    return Records(first, named, first=first)


def is_quoted_cell(cell: str) -> bool:
    """Return whether the reader removes the quotes of a TSV cell; to keep them, a writer has to quote it again."""
    return _DOUBLED.fullmatch(cell) is not None


def _named(row: list[str], first: list[str]) -> Row | Fault:
    """Name the cells of a row by position ("1", "2", …); a fault if there are more or fewer than in the first row."""
    if len(row) != len(first):
        several = any(cell.startswith('"') and not _QUOTED.fullmatch(cell) for cell in row)
        return Fault(
            f"found {len(row)} column{'s' * (len(row) != 1)} where the first row has {len(first)}: {excerpt(row)}"
            + "; texts of several lines in quotes have to be in a .csv or .jsonl file" * several
        )
    return {str(index): cell for index, cell in enumerate(row, start=1)}


def _tsv_cells(path: Path) -> Iterator[tuple[int, list[str] | Fault]]:
    """Yield line numbers and cells of a TSV file."""
    unquoted = 0
    with open_bytes(path) as stream:
        for number, line in numbered_lines(stream):
            if line is None:
                yield number, Fault("the line is empty")
                continue
            cells = line.split("\t")
            if '""' in line:
                plain = [cell[1:-1].replace('""', '"') if is_quoted_cell(cell) else cell for cell in cells]
                if plain != cells and number > 1:
                    cells, unquoted = plain, unquoted + 1
            yield number, cells
    if unquoted:
        logger.info("%s: %d rows have cells in CSV's quotes, which were removed", path, unquoted)


def _separator(path: Path) -> str:
    """Find the separator of a CSV file: the first of ``,``, ``;`` and tab that gives the first 20 rows equal lengths.

    If none does, it is a comma, and rows with too many or too few cells are reported one by one. Excel's own first line
    (``sep=;``) is followed.
    """
    with open_bytes(path) as stream:
        if said := _SAID.fullmatch(stream.readline().strip()):
            return said[1].decode("latin-1")
    for delimiter in _SEPARATORS:
        rows = [row for _, row in itertools.islice(_csv_cells(path, delimiter), _LOOKED_AT)]
        counts = {0 if isinstance(row, Fault) else len(row) for row in rows}
        if len(counts) == 1 and min(counts) > 1:
            if delimiter != ",":
                logger.info("%s: cells are separated by %r", path, delimiter)
            return delimiter
    return ","


def _csv_cells(path: Path, delimiter: str) -> Iterator[tuple[int, list[str] | Fault]]:
    """Yield line numbers and cells of a CSV file; a row of several lines has the number of its first."""
    csv.field_size_limit(_LONGEST_CELL)  # a global setting, because the reader has no argument for it
    with open_bytes(path) as stream:
        lines = (raw.decode("utf-8", "surrogateescape") for raw in stream)
        first = next(lines, "")
        before = 1 if _SAID.fullmatch(first.strip().encode("utf-8", "replace")) else 0  # "sep=;" is not a row
        reader = csv.reader(itertools.chain([first][before:], lines), strict=True, delimiter=delimiter)
        blank: list[int] = []
        while True:
            number = before + reader.line_num + 1
            row: list[str] | Fault
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                last = before + reader.line_num
                swallowed = f", lines {number} to {last}" if last > number else ""
                row = Fault(f"invalid CSV ({error}{swallowed}); a quote may be missing or stray")
            if not isinstance(row, Fault) and not "".join(row).strip() and len(row) < 2:
                blank.append(number)
                continue
            yield from ((index, Fault("the line is empty")) for index in blank)
            blank.clear()
            yield number, row


def positions(count: int) -> list[str]:
    """Return the names of columns by position: ``["1", "2", …]``."""
    return [str(index) for index in range(1, count + 1)]


def renamed(rows: Iterable[Numbered], names: list[str]) -> Iterator[Numbered]:
    """Rename the cells from positions to column names, and omit the header, also if it occurs again further down.

    Headers recur in files that were concatenated with their headers. One in another order is a fault.

    Args:
        rows: Rows by position, the header first.
        names: Names of the columns.
    """
    for place, (number, row) in enumerate(rows):
        if isinstance(row, Fault):
            yield number, row
        elif list(row.values()) != names:
            again = place and sorted(row.values()) == sorted(names)
            problem = f"the row is a header in another order ({', '.join(row.values())}): another file follows"
            yield number, Fault(problem) if again else dict(zip(names, row.values(), strict=True))
        elif place:
            logger.warning("row %d repeats the header (%s) and is skipped", number, ", ".join(names))
