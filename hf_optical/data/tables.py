"""Reader of tables as numbered rows: JSONL, JSON, TSV, CSV (each also gzipped), Parquet, Arrow, saved data sets.

A bad row does not raise an error. A row is returned as a dictionary, or as the :class:`Fault` that was found in it, so
that the caller decides whether to stop or to count it. Only a file that cannot be read at all raises an error.

Invalid UTF-8 is decoded with ``surrogateescape``: the bytes are kept in their cell, where
:func:`hf_optical.data.texts.text_fault` reports them, and the rest of the file is read.
"""

from __future__ import annotations

import itertools
from pathlib import Path

from hf_optical.data.byte_streams import FORMATS, file_format, open_bytes
from hf_optical.data.columnar import is_saved_dataset, read_columnar
from hf_optical.data.delimited import positions, read_delimited, renamed
from hf_optical.data.json_rows import read_json_rows
from hf_optical.data.records import Fault, Numbered, Records, Row
from hf_optical.errors import InputError

__all__ = [
    "FORMATS",
    "Fault",
    "Numbered",
    "Records",
    "Row",
    "file_format",
    "named_records",
    "open_bytes",
    "positions",
    "read_json_rows",
    "read_records",
    "renamed",
]


def read_records(path: Path) -> Records:
    """Open any supported file as columns and numbered rows.

    Args:
        path: A file with one of the extensions :data:`FORMATS`, text formats also with ``.gz``; or a folder that
            ``datasets.Dataset.save_to_disk`` wrote. For folders of files see :func:`hf_optical.data.shards.shards`.

    Returns:
        The records, whose rows are read lazily.

    Raises:
        InputError: The file cannot be read or has no rows.
    """
    kind = "" if is_saved_dataset(path) else file_format(path)
    if kind in (".tsv", ".csv"):
        return read_delimited(path, kind)
    rows = read_columnar(path, kind) if kind in (".parquet", ".arrow", "") else read_json_rows(path)
    head = list(itertools.islice(rows, 100))
    if not head:
        raise InputError("the file is empty", "give a file with at least one row", path=path)
    if all(isinstance(row, Fault) for _, row in head):  # there are no columns then, which the caller needs
        number, fault = head[0]
        problem = fault.problem if isinstance(fault, Fault) else ""
        raise InputError(problem, f"give a {kind} file", path=path, row=number)
    columns = dict.fromkeys(key for _, row in head if not isinstance(row, Fault) for key in row)
    return Records(list(columns), itertools.chain(head, rows))


def named_records(path: Path) -> Records:
    """Read records as :func:`read_records` does, with the first row of a TSV or CSV as the column names.

    Raises:
        InputError: The file cannot be read or has no rows, or two columns have the same name.
    """
    records = read_records(path)
    names = records.first
    if names is None:
        return records
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError("two columns have this name", "give each column its own name", path=path, row=1, field=twice)
    return Records(names, renamed(records.rows, names))
