"""Rows of TSV and CSV files, as they are found: cells in quotes, a header that comes again."""

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
_LOOKED_AT = 20  # rows
_LONGEST_CELL = 100_000_000  # characters; the csv module stops at 131,072, a book in a cell is longer
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
# pandas quotes a cell of a TSV that holds a quote, and doubles that: nothing else looks so.
_DOUBLED = re.compile(r'"(?=(?:[^"]|"")*"$)(?:[^"]*"")(?:[^"]|"")*"')


def read_delimited(path: Path, kind: str) -> Records:
    """Open a TSV or CSV file; only the caller knows whether its first row is a header.

    TSV is split at tabs, and quotes are text, with two exceptions that a program wrote: a cell that is in quotes and
    has doubled quotes inside is read as CSV means it, and where the whole first row is in quotes, so is the file.
    CSV is split at commas; at semicolons or tabs where commas do not make columns and these do, as spreadsheets write
    it in languages whose numbers have a decimal comma.

    Args:
        path: The file.
        kind: ``".tsv"`` or ``".csv"``.

    Returns:
        Records whose rows are by position (``"1"``, ``"2"``, ...), with the first row as it is in ``first``.

    Raises:
        InputError: The file cannot be read, is empty, or its first row cannot be.
    """
    cells = _csv_cells(path, separator(path)) if kind == ".csv" else _tsv_cells(path)
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
    """Whether a cell of a TSV is read without its quotes; to be read as it is, it has to be quoted once more."""
    return _DOUBLED.fullmatch(cell) is not None


def _named(row: list[str], first: list[str]) -> Row | Fault:
    """A row by position ("1", "2", …)."""
    if len(row) != len(first):
        several = any(cell.startswith('"') and not _QUOTED.fullmatch(cell) for cell in row)
        return Fault(
            f"found {len(row)} column{'s' * (len(row) != 1)} where the first row has {len(first)}: {excerpt(row)}"
            + "; a text of several lines in quotes has to be in a .csv or .jsonl" * several
        )
    return {str(index): cell for index, cell in enumerate(row, start=1)}


def _tsv_cells(path: Path) -> Iterator[tuple[int, list[str] | Fault]]:
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
        logger.info("%s: %d rows have cells in CSV's quotes, read without them", path, unquoted)


def separator(path: Path) -> str:
    """What separates the cells of a CSV file: the first of ``,``, ``;`` and tab that makes equal rows of its beginning.

    A comma where none does: the rows that have too many or too few cells are then reported one by one. What Excel's
    own first line says (``sep=;``) is taken.
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
    csv.field_size_limit(_LONGEST_CELL)  # the module has one limit, and no argument for it
    with open_bytes(path) as stream:
        lines = (raw.decode("utf-8", "surrogateescape") for raw in stream)
        first = next(lines, "")
        before = 1 if _SAID.fullmatch(first.strip().encode("utf-8", "replace")) else 0  # Excel's line is no row
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
    """Names of columns by position: ``["1", "2", …]``."""
    return [str(index) for index in range(1, count + 1)]


def renamed(rows: Iterable[Numbered], names: list[str]) -> Iterator[Numbered]:
    """Rows by position become rows by name; the header is left out, wherever files were joined with theirs."""
    for place, (number, row) in enumerate(rows):
        if isinstance(row, Fault):
            yield number, row
        elif list(row.values()) != names:
            again = place and sorted(row.values()) == sorted(names)
            problem = f"a header in another order ({', '.join(row.values())}): what follows is another file"
            yield number, Fault(problem) if again else dict(zip(names, row.values(), strict=True))
        elif place:
            logger.warning("row %d is the header again (%s): left out", number, ", ".join(names))
