"""Reader of tables in which certain columns must hold text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from hf_optical.data.shards import shards
from hf_optical.data.tables import Fault, Row, named_records
from hf_optical.data.texts import one_form, text_fault
from hf_optical.errors import InputError
from hf_optical.places import user_path

__all__ = ["read_text_rows"]


def read_text_rows(
    path: str | Path, texts: Sequence[str] = ("text",), *, others: Sequence[str] = ()
) -> list[tuple[int, Row]]:
    """Read a table and check its columns of text.

    Args:
        path: A JSONL, JSON, TSV, CSV (also with ``.gz``), Parquet or Arrow file, or a folder of such files. The first
            row of a TSV or CSV file must hold the column names.
        texts: Columns that must hold text in every row, which is converted to Unicode's normal form NFC.
        others: Columns that must exist, with any content.

    Returns:
        The rows with their 1-based numbers in the file.

    Raises:
        InputError: The file cannot be read, lacks a column, or has a damaged row or one without text.
    """
    return [row for shard in shards(user_path(path)) for row in _rows(shard, texts, others)]


def _rows(path: Path, texts: Sequence[str], others: Sequence[str]) -> Iterator[tuple[int, Row]]:
    records = named_records(path)
    if missing := [name for name in (*texts, *others) if name not in records.columns]:
        problem = f"there is no such column; found {', '.join(records.columns)}"
        remedy = "give the column this name; in a .tsv or .csv file the names are in the first row"
        raise InputError(problem, remedy, path=path, field=missing[0])
    for number, row in records.rows:
        if isinstance(row, Fault):
            raise InputError(row.problem, "correct the row", path=path, row=number, field=row.field)
        for name in texts:
            if fault := text_fault(row.get(name)):
                raise InputError(fault, "remove the row or fill it", path=path, row=number, field=name)
        yield number, {**row, **{name: one_form(row[name]) for name in texts}}
