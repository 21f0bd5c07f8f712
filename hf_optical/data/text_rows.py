"""Rows of a table whose named columns must hold text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hf_optical.data.tables import Fault, Row, read_records, renamed
from hf_optical.data.texts import text_fault
from hf_optical.errors import InputError
from hf_optical.places import user_path

__all__ = ["read_text_rows"]


def read_text_rows(
    path: str | Path, texts: Sequence[str] = ("text",), *, others: Sequence[str] = ()
) -> list[tuple[int, Row]]:
    """Read a table; a TSV or CSV file must name its columns in its first row.

    Args:
        path: JSONL, JSON, TSV, CSV (.gz too) or Parquet.
        texts: Columns that must hold text in every row.
        others: Columns that must be there, whatever they hold.

    Returns:
        The rows with their 1-based numbers in the file.

    Raises:
        InputError: The file cannot be read, lacks a column, or has a broken row or one without text.
    """
    path = user_path(path)
    records = read_records(path)
    if missing := [name for name in (*texts, *others) if name not in records.columns]:
        problem = f"there is no such column; found {', '.join(records.columns)}"
        raise InputError(problem, "add it, or name another", path=path, field=missing[0])
    found = []
    for number, row in renamed(records.rows, records.columns) if records.first is not None else records.rows:
        if isinstance(row, Fault):
            raise InputError(row.problem, "correct the row", path=path, row=number, field=row.field)
        for name in texts:
            if fault := text_fault(row.get(name)):
                raise InputError(fault, "remove the row or fill it", path=path, row=number, field=name)
        found.append((number, row))
    return found
