"""Licences and origins of the rows of a file, counted for model cards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from hf_optical.data.tables import FORMATS, Fault, read_records

__all__ = ["licence_counts"]

_COLUMNS = {"licences": ("license", "licence"), "origin": ("origin", "source")}
_MOST_VALUES = 100  # more different values than that are texts and not names of licences or collections


def licence_counts(path: str | Path) -> dict[str, dict[str, int]]:
    """Count the licences and origins that the rows of a file name.

    Args:
        path: JSONL, JSON, TSV, CSV (``.gz`` too), Parquet or Arrow; of anything else nothing is counted.

    Returns:
        ``licences`` (column ``license`` or ``licence``) and ``origin`` (column ``origin`` or ``source``), each with the
        number of rows by value, the most frequent first; an entry is missing if there is no such column, or if it holds
        texts.

    Raises:
        InputError: The file cannot be read.

    Example:
        .. code-block:: python

            licence_counts("pairs.jsonl")  # {"licences": {"CC-BY-4.0": 2580}, "origin": {"tico": 2580}}
    """
    path = Path(path)
    if not path.is_file() or Path(path.name.removesuffix(".gz")).suffix not in FORMATS:
        return {}
    found = {name: _column_counts(path, columns) for name, columns in _COLUMNS.items()}
    return {name: counts for name, counts in found.items() if counts}


def _column_counts(path: Path, names: Sequence[str]) -> dict[str, int] | None:
    """Count the values of the first of these columns that the table has, the most frequent value first.

    Returns:
        Rows by value; ``None`` if there is no such column, or if it has so many distinct values that it holds texts.
    """
    records = read_records(path)
    column = next((name for name in names if name in records.columns), None)
    if column is None:
        return None
    counts: Counter[str] = Counter()
    for _, row in records.rows:
        if not isinstance(row, Fault):
            counts[str(row.get(column) or "not stated")] += 1
        if len(counts) > _MOST_VALUES:
            return None
    return dict(counts.most_common())
