"""Records that the table readers pass on: columns and numbered rows, or the fault found in a row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["Fault", "Numbered", "Records", "Row"]


@dataclass(frozen=True)
class Fault:
    """Fault of one row: the problem, and its field (``None``: the row as a whole)."""

    problem: str
    field: str | None = None


Row = dict[str, Any]
Numbered = tuple[int, "Row | Fault"]


@dataclass(frozen=True)
class Records:
    """The columns and the numbered rows of one table.

    Attributes:
        columns: Column names; of JSON rows the union over the first hundred.
        rows: Pairs of a 1-based row number and a row or a fault. In text files the number is that of the line on
            which the row starts (a header is line 1); elsewhere that of the record.
        first: The first row as a list of cells, for TSV and CSV only: it may be a header or data.
        placed: Whether the rows came as (English, translation) pairs: their places say what they are.
    """

    columns: list[str]
    rows: Iterator[Numbered]
    first: list[str] | None = None
    placed: bool = False
