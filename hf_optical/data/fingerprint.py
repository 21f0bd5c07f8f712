"""Row counts and hashes of input files for ``results.json``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from datasets import Dataset
from huggingface_hub.utils.sha import sha_fileobj

from hf_optical.data.delimited import read_delimited
from hf_optical.data.headers import is_header
from hf_optical.data.records import Fault
from hf_optical.data.tables import open_bytes
from hf_optical.errors import InputError
from hf_optical.places import user_path

__all__ = ["file_fingerprint", "file_hash", "rows_hash"]

_DELIMITED = {".tsv", ".csv"}
_EMPTY = Fault("the line is empty")  # as the reader reports it
_TEXT_SUFFIXES = {".jsonl", ".ndjson", ".trec", ".txt", *_DELIMITED}


def file_fingerprint(path: str | Path, *, columns: Collection[str] = (), language: str | None = None) -> dict[str, Any]:
    """Compute the number of rows and the SHA-256 of a file or a folder.

    Args:
        path: A file or a folder. Hidden files and folders inside are ignored.
        columns: Names of columns that the user gave, by which a header is recognised that has no usual names.
        language: FLORES code of the language of a bitext, whose code and name are such names too.

    Returns:
        ``{"path": name, "rows": n or None, "sha256": hex}``. The name has no folder, because results are compared
        across machines. Rows are the non-blank lines of text files, the rows below the header of TSV and CSV files, the
        rows of Parquet files, and ``None`` for other files and for folders. The hash of a folder is computed from its
        sorted relative paths and their hashes.

    Raises:
        InputError: There is no such file or folder, or it cannot be read.
    """
    path = user_path(path)
    if path.is_dir():
        return {"path": path.resolve().name, "rows": None, "sha256": _folder_hash(path)}
    if not path.is_file():
        raise InputError("there is no such file or folder", "check the path", path=path)
    return {"path": path.name, "rows": _rows(path, columns, language), "sha256": file_hash(path)}


def file_hash(path: Path) -> str:
    """Compute the SHA-256 of a file, in hexadecimal.

    Raises:
        InputError: The file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return sha_fileobj(stream).hex()
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})", "check the file", path=path) from None


def _folder_hash(folder: Path) -> str:
    """Hash the sorted relative paths of a folder's files and their hashes, without hidden files."""
    digest = hashlib.sha256()
    relative = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    for name in relative:
        if not any(part.startswith(".") for part in name.parts):
            digest.update(f"{name.as_posix()}\0{file_hash(folder / name)}\n".encode())
    return digest.hexdigest()


def _rows(path: Path, columns: Collection[str], language: str | None) -> int | None:
    """Count the rows of a text or Parquet file; ``None`` for other files."""
    suffixes = [suffix for suffix in path.suffixes if suffix != ".gz"]
    suffix = suffixes[-1].lower() if suffixes else ""
    if path.stat().st_size == 0:
        return 0 if suffix in _TEXT_SUFFIXES else None
    if suffix == ".parquet":
        return int(pq.read_metadata(path).num_rows)
    if suffix not in _TEXT_SUFFIXES:
        return None
    if suffix in _DELIMITED and (rows := _rows_below_header(path, suffix, columns, language)) is not None:
        return rows
    return _lines(path)


def _rows_below_header(path: Path, suffix: str, columns: Collection[str], language: str | None) -> int | None:
    """Count the rows of a TSV or CSV file without its header; ``None`` if it cannot be read as one."""
    try:
        records = read_delimited(path, suffix)
    except InputError:
        return None
    first = records.first or []
    try:
        header = bool(set(columns) & set(first)) or is_header(first, language=language)
    except InputError:  # it may be either
        header = False
    # A cell of a CSV file may have several lines; a line of a TSV file is a row, which needs no parsing.
    rows = sum(row != _EMPTY for _, row in records.rows) if suffix == ".csv" else _lines(path)
    return rows - header


def _lines(path: Path) -> int:
    with open_bytes(path) as stream:
        return sum(1 for line in stream if line.strip())


def rows_hash(rows: Dataset) -> str:
    """Compute the SHA-256 of the texts of a data set row by row, which does not depend on its file or Hub revision.

    Example:
        >>> from datasets import Dataset
        >>> len(rows_hash(Dataset.from_dict({"source": ["a"], "translation": ["b"]})))
        64
    """
    digest = hashlib.sha256()
    for batch in rows.iter(batch_size=10_000):
        for row in zip(*(batch[name] for name in sorted(rows.column_names)), strict=True):
            digest.update(json.dumps(row, ensure_ascii=False).encode())
    return digest.hexdigest()
