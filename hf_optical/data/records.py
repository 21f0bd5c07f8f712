"""Result of the table readers: columns and numbered rows, or the fault of a row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["Fault", "Numbered", "Records", "Row"]


@dataclass(frozen=True)
class Fault:
    """Fault of one row.

    Attributes:
        problem: The problem and what was found.
        field: The column with the problem; ``None`` for the whole row.
    """

    problem: str
    field: str | None = None


Row = dict[str, Any]
Numbered = tuple[int, "Row | Fault"]


@dataclass(frozen=True)
class Records:
    """Columns and numbered rows of one table.

    Attributes:
        columns: Column names; for JSON the union over the first hundred rows.
        rows: Pairs of a 1-based number and a row or a fault. In text files the number is that of the line on which the
            row starts (a header is line 1), in other files that of the record.
        first: The first row as a list of cells, which may be a header or data; only for TSV and CSV.
        placed: Whether the rows were given as (English, translation) pairs, so that no column has to be guessed.
    """

    columns: list[str]
    rows: Iterator[Numbered]
    first: list[str] | None = None
    placed: bool = False
