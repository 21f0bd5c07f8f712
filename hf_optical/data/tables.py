"""Rows of a file, with their numbers: JSONL, JSON, TSV, CSV (each also gzipped) and Parquet.

Nothing here raises for a single bad row: a row comes out as a dictionary, or as the :class:`Fault` that was found in
it, so that the caller decides whether to stop or to count. Only a file that cannot be read at all raises.

Invalid UTF-8 is decoded with ``surrogateescape``: the offending bytes stay visible in the one cell that holds them,
and :func:`hf_optical.data.texts.text_fault` reports them there, instead of the whole file failing at an offset.
"""

from __future__ import annotations

import codecs
import contextlib
import csv
import gzip
import io
import itertools
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.parquet as pq

from hf_optical.data.json_objects import flattened, unique_fields
from hf_optical.data.texts import excerpt
from hf_optical.errors import InputError

__all__ = [
    "FORMATS",
    "Fault",
    "Records",
    "file_format",
    "open_bytes",
    "positions",
    "read_json_rows",
    "read_records",
    "renamed",
]

FORMATS = (".jsonl", ".ndjson", ".json", ".tsv", ".csv", ".parquet")

_JSON = json.JSONDecoder(object_pairs_hook=unique_fields)  # json.loads would make one for each line
_BYTE_ORDER_MARKS = {codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16"}


@dataclass(frozen=True)
class Fault:
    """What is wrong with one row: the problem, and the field it was found in (None: the row as a whole)."""

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
    """

    columns: list[str]
    rows: Iterator[Numbered]
    first: list[str] | None = None


def file_format(path: Path) -> str:
    """The format of a file by its extension, ``.gz`` apart.

    Raises:
        InputError: For an extension that is none of :data:`FORMATS`.

    Example:
        >>> file_format(Path("train.jsonl.gz"))
        '.jsonl'
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    suffix = suffixes[-1] if suffixes else ""
    if suffix not in FORMATS:
        raise InputError(
            f"the extension {suffix!r} says nothing about the format",
            f"name the file after what it holds: {', '.join(FORMATS)} (text formats also .gz)",
            path=path,
        )
    return suffix


@contextlib.contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading bytes, through gzip where its first bytes say so, past a UTF-8 byte order mark.

    Raises:
        InputError: If the file is missing, a folder, unreadable, empty, truncated, corrupt or UTF-16.
    """
    if path.is_dir():
        raise InputError("is a folder, not a file", "name one file", path=path)
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            stream = cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if packed else raw
            buffered = io.BufferedReader(cast(io.RawIOBase, stream), 1 << 17)
            head = buffered.peek(4)[:4]
            if head in (b"", codecs.BOM_UTF8):
                raise InputError("the file is empty", "give a file with at least one row", path=path)
            if head[:2] in _BYTE_ORDER_MARKS:
                raise InputError(f"the file is {_BYTE_ORDER_MARKS[head[:2]]}", "save it as UTF-8", path=path)
            if head.startswith(codecs.BOM_UTF8):
                buffered.read(len(codecs.BOM_UTF8))
            yield cast(BinaryIO, buffered)
    except FileNotFoundError:
        raise InputError("no such file", "check the path", path=path) from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"the gzip data is damaged ({error})", "copy or download the file again", path=path) from None
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})", "check the file", path=path) from None


def read_records(path: Path) -> Records:
    """Open any supported file as columns and numbered rows.

    Args:
        path: A file with one of the extensions :data:`FORMATS`, text formats also with ``.gz``.

    Returns:
        The records; their rows are read as they are asked for.

    Raises:
        InputError: If the file cannot be read, or holds no row at all.
    """
    kind = file_format(path)
    if kind in (".tsv", ".csv"):
        return _read_delimited(path, kind)
    rows = _parquet_rows(path) if kind == ".parquet" else read_json_rows(path)
    head = list(itertools.islice(rows, 100))
    if not head:
        raise InputError("the file is empty", "give a file with at least one row", path=path)
    if all(isinstance(row, Fault) for _, row in head):  # no columns, then, of which anything could be said
        number, fault = head[0]
        problem = fault.problem if isinstance(fault, Fault) else ""
        raise InputError(problem, f"give a {kind} file", path=path, row=number)
    columns = dict.fromkeys(key for _, row in head if not isinstance(row, Fault) for key in row)
    return Records(list(columns), itertools.chain(head, rows))


def read_json_rows(path: Path) -> Iterator[Numbered]:
    """Rows of a JSONL file, or of a JSON file that holds one array of objects."""
    with open_bytes(path) as stream:
        if cast(io.BufferedReader, stream).peek(1)[:1] == b"[":
            yield from _array_rows(stream, path)
            return
        for number, line in _lines(stream):
            yield number, _json_row(line)


def _array_rows(stream: BinaryIO, path: Path) -> Iterator[Numbered]:
    try:
        items = json.loads(stream.read().decode("utf-8", "surrogateescape"), object_pairs_hook=unique_fields)
    except (ValueError, RecursionError) as error:
        raise InputError(f"invalid JSON ({error})", "write one JSON object a line (.jsonl)", path=path) from None
    for number, item in enumerate(items, start=1):
        yield number, flattened(item) if isinstance(item, dict) else Fault(f"found {excerpt(item)}, not a JSON object")


def _json_row(line: str | None) -> Row | Fault:
    if line is None:
        return Fault("the line is empty")
    try:
        item = _JSON.decode(line)
    except (ValueError, RecursionError) as error:
        return Fault(f"invalid JSON ({getattr(error, 'msg', error)}), found {excerpt(line)}")
    return flattened(item) if isinstance(item, dict) else Fault(f"found {excerpt(item)}, not a JSON object")


def _lines(stream: BinaryIO) -> Iterator[tuple[int, str | None]]:
    """Numbered lines without their ends; None for a blank line, unless only blank lines follow it."""
    # Bytes are split at "\n" alone: text may hold U+2028 or a lone "\r", which str.splitlines would split at.
    blank: list[int] = []
    for number, raw in enumerate(stream, start=1):
        line = raw.rstrip(b"\r\n").decode("utf-8", "surrogateescape")
        if not line or line.isspace():
            blank.append(number)
            continue
        yield from ((index, None) for index in blank)
        blank.clear()
        yield number, line


def _read_delimited(path: Path, kind: str) -> Records:
    cells = _tsv_cells(path) if kind == ".tsv" else _csv_cells(path)
    start = next(cells, None)
    if start is None:
        raise InputError("the file is empty", "give a file with at least one row", path=path)
    number, first = start
    if isinstance(first, Fault):
        raise InputError(first.problem, "correct the first row", path=path, row=number)
    named = (
        (index, row if isinstance(row, Fault) else _named(row, first))
        for index, row in itertools.chain([(number, first)], cells)
    )
    return Records(first, named, first=first)


def _named(row: list[str], first: list[str]) -> Row | Fault:
    """A row by position ("1", "2", …): only the caller knows whether the first row is a header."""
    if len(row) != len(first):
        return Fault(
            f"found {len(row)} column{'s' * (len(row) != 1)} where the first row has {len(first)}: {excerpt(row)}"
        )
    return {str(index): cell for index, cell in enumerate(row, start=1)}


def _tsv_cells(path: Path) -> Iterator[tuple[int, list[str] | Fault]]:
    with open_bytes(path) as stream:
        for number, line in _lines(stream):
            yield number, Fault("the line is empty") if line is None else line.split("\t")


def _csv_cells(path: Path) -> Iterator[tuple[int, list[str] | Fault]]:
    with open_bytes(path) as stream:
        lines = (raw.decode("utf-8", "surrogateescape") for raw in stream)
        reader = csv.reader(lines, strict=True)
        blank: list[int] = []
        while True:
            number = reader.line_num + 1
            row: list[str] | Fault
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                swallowed = f", lines {number} to {reader.line_num}" if reader.line_num > number else ""
                row = Fault(f"invalid CSV ({error}{swallowed}); a quote may be missing or stray")
            if not isinstance(row, Fault) and not "".join(row).strip() and len(row) < 2:
                blank.append(number)
                continue
            yield from ((index, Fault("the line is empty")) for index in blank)
            blank.clear()
            yield number, row


def _parquet_rows(path: Path) -> Iterator[Numbered]:
    with open_bytes(path):
        pass
    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=10_000):
                for row in _values(batch):
                    number += 1
                    yield number, row if isinstance(row, Fault) else flattened(row)
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"not a readable Parquet file ({excerpt(str(error))})", "write the file again", path=path
        ) from None


def _values(batch: pa.RecordBatch) -> Iterator[Row | Fault]:
    """Rows of a batch; where a value cannot be one of Python's (damaged text, a date beyond time), a fault."""
    try:
        rows: list[Row | Fault] = batch.to_pylist()
    except (ValueError, OverflowError):
        rows = []
        for index in range(batch.num_rows):
            try:
                rows += batch.slice(index, 1).to_pylist()
            except (ValueError, OverflowError) as error:
                rows.append(Fault(f"a value cannot be read ({error})"))
    yield from rows


def positions(count: int) -> list[str]:
    """Names of columns by position: ``["1", "2", …]``."""
    return [str(index) for index in range(1, count + 1)]


def renamed(rows: Iterable[Numbered], names: list[str]) -> Iterator[Numbered]:
    """Rows by position become rows by name; the first, which holds the names, is left out."""
    iterator = iter(rows)
    next(iterator)
    for number, row in iterator:
        yield number, row if isinstance(row, Fault) else dict(zip(names, row.values(), strict=True))
