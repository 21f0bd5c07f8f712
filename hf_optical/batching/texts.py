"""Read text columns once, in row order, into one number per row: a length or a hash."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from hf_optical.errors import InputError

_ROWS_PER_READ = 100_000
_DATASET_NAME = "dataset_name"
# Any fixed odd constant works: it separates the hashes of ids from the hashes of equal texts.
_ID_MARK = np.uint64(0x9E3779B97F4A7C15)


def text_columns(dataset: Any, labels: Sequence[str] | None = None) -> list[str]:
    """List the columns that the collator tokenises.

    Args:
        dataset: A `datasets.Dataset`, whatever its format or transform.
        labels: Names of label columns, which are left out.

    Returns:
        Names in the dataset's own order.

    Raises:
        InputError: The dataset has no column of strings.

    Example:
        >>> from datasets import Dataset
        >>> text_columns(Dataset.from_dict({"source": ["a"], "translation": ["b"], "label": [1]}), ["label"])
        ['source', 'translation']
    """
    hidden = {_DATASET_NAME, *(labels or ())}
    schema = dataset.features.arrow_schema
    names = [
        field.name
        for field in schema
        if field.name not in hidden and (pa.types.is_string(field.type) or pa.types.is_large_string(field.type))
    ]
    if not names:
        raise InputError(
            f"no column of text among {dataset.column_names}", "give the dataset at least one column of strings"
        )
    return names


def text_lengths(
    dataset: Any, columns: Sequence[str], length_of: Callable[[list[str]], Sequence[int]] | None = None
) -> np.ndarray:
    """Return the length of the longest text of each row.

    Args:
        dataset: A `datasets.Dataset` of ``n`` rows, whatever its format or transform.
        columns: The columns to measure.
        length_of: Function that returns the lengths of a list of texts; ``None`` counts Unicode characters.

    Returns:
        int32 array of shape ``(n,)``.

    Raises:
        InputError: A text is missing.

    Example:
        >>> from datasets import Dataset
        >>> rows = Dataset.from_dict({"source": ["a", "abc"], "translation": ["ñandú", ""]})
        >>> text_lengths(rows, ["source", "translation"])
        array([5, 3], dtype=int32)
    """
    lengths = np.zeros(len(dataset), dtype=np.int32)
    for start, table in _tables(dataset, columns):
        part = lengths[start : start + table.num_rows]
        for column in columns:
            if length_of is None:
                measured = pc.utf8_length(table.column(column)).to_numpy()
            else:
                measured = np.asarray(length_of(table.column(column).to_pylist()))
            np.maximum(part, measured.astype(np.int32), out=part)
    return lengths


def text_hashes(dataset: Any, columns: Sequence[str]) -> np.ndarray:
    """Hash every text to 64 bits; equal texts have equal hashes in any column, data set or process.

    Args:
        dataset: A `datasets.Dataset` of ``n`` rows, whatever its format or transform.
        columns: The ``k`` columns to read.

    Returns:
        uint64 array of shape ``(n, k)``.

    Raises:
        InputError: A text is missing.

    Example:
        >>> from datasets import Dataset
        >>> hashes = text_hashes(Dataset.from_dict({"a": ["x", "y"], "b": ["y", "z"]}), ["a", "b"])
        >>> bool(hashes[1, 0] == hashes[0, 1]), bool(hashes[0, 0] == hashes[1, 1])
        (True, False)
    """
    hashes = np.empty((len(dataset), len(columns)), dtype=np.uint64)
    for start, table in _tables(dataset, columns):
        for k, column in enumerate(columns):
            texts = table.column(column).to_numpy()
            hashes[start : start + table.num_rows, k] = pd.util.hash_array(texts, categorize=False)
    return hashes


def _tables(dataset: Any, columns: Sequence[str]) -> Iterator[tuple[int, pa.Table]]:
    """Yield first row and table of each slice; the arrow format skips transforms and respects selections of rows."""
    missing = [column for column in columns if column not in dataset.column_names]
    if missing:
        raise InputError(f"no column {missing[0]!r} among {dataset.column_names}", "name a column of the dataset")
    start = 0
    for table in dataset.select_columns(list(columns)).with_format("arrow").iter(batch_size=_ROWS_PER_READ):
        for column in columns:
            if table.column(column).null_count:
                row = start + int(np.argmax(pc.is_null(table.column(column)).to_numpy()))
                raise InputError("the text is missing", "remove or fill the row", row=row + 1, field=column)
        yield start, table
        start += table.num_rows


def id_hashes(ids: Sequence[Any] | np.ndarray) -> np.ndarray:
    """Hash every id to 64 bits; equal ids have equal hashes in any data set, never those of a text.

    Args:
        ids: ``n`` ids, all integers or all strings. The integer 7 and the string "7" differ.

    Returns:
        uint64 array of shape ``(n, 1)``.

    Raises:
        InputError: An id is missing, or the ids are neither integers nor strings.

    Example:
        >>> id_hashes([4, 4, 5]).shape
        (3, 1)
    """
    values = ids if isinstance(ids, np.ndarray) else np.asarray(ids[:], dtype=object)
    if values.dtype.kind not in "iu":
        values = _of_one_type(values.astype(object))
    hashed = pd.util.hash_array(values, categorize=False)
    return (hashed ^ _ID_MARK)[:, None]


def _of_one_type(values: np.ndarray) -> np.ndarray:
    """Return the ids as int64, or as an object array of strings."""
    is_string = np.fromiter((isinstance(value, str) for value in values), dtype=bool, count=len(values))
    is_integer = np.fromiter(
        (isinstance(value, (int, np.integer)) and not isinstance(value, bool) for value in values),
        dtype=bool,
        count=len(values),
    )
    right = is_string if is_string.sum() >= is_integer.sum() else is_integer
    if not right.all():
        row = int(np.argmin(right))
        raise InputError(
            f"the id {values[row]!r} has another type than the others",
            "give ids that are all integers or all strings",
            row=row + 1,
            field="ids",
        )
    return values if right is is_string else values.astype(np.int64)
