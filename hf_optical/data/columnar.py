"""Reader of Parquet and Arrow files, and of folders that ``datasets.Dataset.save_to_disk`` wrote."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from hf_optical.data.byte_streams import open_bytes
from hf_optical.data.json_objects import flattened
from hf_optical.data.records import Fault, Numbered, Row
from hf_optical.data.texts import excerpt
from hf_optical.errors import InputError

__all__ = ["is_saved_dataset", "read_columnar"]

_CHUNK = 10_000


def is_saved_dataset(path: Path) -> bool:
    """Return whether ``Dataset.save_to_disk`` wrote this folder."""
    return path.is_dir() and (path / "dataset_info.json").is_file() and (path / "state.json").is_file()


def read_columnar(path: Path, kind: str) -> Iterator[Numbered]:
    """Yield the rows with their 1-based numbers.

    Args:
        path: The file, or the folder of a saved data set.
        kind: ``".parquet"``, ``".arrow"`` (Arrow's stream format, as datasets writes it, or its file format), or ``""``
            for a folder.

    Raises:
        InputError: The file is damaged or has another format.
    """
    if kind != "":
        with open_bytes(path):
            pass
    names = {".parquet": "Parquet file", ".arrow": "Arrow file", "": "saved data set"}
    number = 0
    with damage_reported(path, names[kind]):
        for batch in _batches(path, kind):
            for row in _values(batch):
                number += 1
                yield number, row if isinstance(row, Fault) else flattened(row)


@contextmanager
def damage_reported(path: Path, what: str) -> Iterator[None]:
    """Convert pyarrow's errors about a damaged file, which include column names that are not UTF-8.

    Args:
        path: The file.
        what: Its kind for the message, such as ``"Parquet file"``.

    Raises:
        InputError: The file is damaged; the message names it and repeats pyarrow's.
    """
    try:
        yield
    except (pa.ArrowException, UnicodeDecodeError, OSError) as error:
        raise InputError(f"not a readable {what} ({excerpt(str(error))})", "write it again", path=path) from None


def _batches(path: Path, kind: str) -> Iterator[pa.RecordBatch]:
    if kind == ".parquet":
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(batch_size=_CHUNK)
    elif kind == ".arrow":
        yield from _arrow_batches(path)
    else:
        yield from _saved(path).with_format("arrow").iter(batch_size=_CHUNK)


def _arrow_batches(path: Path) -> Iterator[pa.RecordBatch]:
    with pa.memory_map(str(path)) as source:
        if source.read(6) == b"ARROW1":
            opened = pa.ipc.open_file(source)
            yield from (opened.get_batch(index) for index in range(opened.num_record_batches))
            return
        source.seek(0)
        yield from pa.ipc.open_stream(source)


def _saved(path: Path) -> Any:
    import datasets

    try:
        return datasets.load_from_disk(str(path))
    except Exception as error:  # json, Arrow and missing files, each with its own type
        raise InputError(
            f"not a readable saved data set ({type(error).__name__}: {excerpt(str(error))})", "save it again", path=path
        ) from None


def _values(batch: pa.RecordBatch | pa.Table) -> Iterator[Row | Fault]:
    """Yield the rows of a batch, or a fault for a row with a value that Python cannot represent.

    Examples of such values are damaged text and dates out of range.
    """
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
