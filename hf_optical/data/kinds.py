"""Kinds of training sets by name: ``bitext/eng_Latn-swh_Latn`` is bitext, with these columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset, DatasetDict, IterableDataset

from hf_optical.errors import InputError

COLUMNS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "bitext": (("source", "translation"), ()),
    "mono": (("query", "passage"), ("negative",)),
    "cross": (("query", "passage"), ("negative",)),
    "lexicon": (("source", "translation"), ()),
}
"""Required and optional columns, in the order in which the losses read them."""


def kind_of(name: str) -> str:
    """The kind of a training set, from its name.

    Example:
        >>> kind_of("bitext/eng_Latn-swh_Latn")
        'bitext'
    """
    kind = name.split("/", 1)[0]
    if kind not in COLUMNS:
        raise InputError(
            f"the training set {name!r} is of no known kind",
            f"name it <kind>/<languages>, with one of the kinds {', '.join(COLUMNS)}, e.g. 'bitext/eng_Latn-swh_Latn'",
        )
    return kind


def check_training_sets(data: Any, *, keep: Sequence[str] = ()) -> Any:
    """Check names, columns and texts of training sets, and put the columns in the order of the losses.

    Args:
        data: ``None``, a data set (taken for bitext if it has those columns), or a mapping of names to data sets.
        keep: Columns that are no text and stay where they are there (``language``, for language adapters).

    Returns:
        The same, as a ``DatasetDict`` where a mapping came in.

    Raises:
        InputError: An unknown kind, missing columns, no rows, or missing and empty texts, with their row numbers.
    """
    if data is None or isinstance(data, str):
        return data
    if isinstance(data, Mapping):
        if not data:
            raise InputError("there is no training set", "give at least one, e.g. 'bitext/eng_Latn-swh_Latn'")
        checked = {name: _check(rows, kind_of(name), name, keep) for name, rows in data.items()}
        return checked if any(isinstance(rows, IterableDataset) for rows in checked.values()) else DatasetDict(checked)
    if set(COLUMNS["bitext"][0]) <= set(data.column_names or ()):
        return _check(data, "bitext", "the training set", keep)
    return data


def _check(rows: Any, kind: str, name: str, keep: Sequence[str]) -> Any:
    required, optional = COLUMNS[kind]
    columns = list(rows.column_names or ())
    missing = [column for column in required if column not in columns]
    if missing:
        raise InputError(
            f"a {kind} set has the columns {', '.join(required)}; found {', '.join(columns) or 'none'}",
            f"rename the columns (rows.rename_column), missing: {', '.join(missing)}",
            path=name,
        )
    # Other columns would be tokenised and trained on as if they were text.
    wanted = [column for column in (*required, *optional) if column in columns]
    kept = [*wanted, *(column for column in keep if column in columns)]
    if columns != kept:
        rows = rows.select_columns(kept)
    if isinstance(rows, Dataset):
        if len(rows) == 0:
            raise InputError("the set has no rows", "give it some", path=name)
        for column in wanted:
            _check_texts(rows, column, name)
    return rows


def _check_texts(rows: Dataset, column: str, name: str) -> None:
    position = 0
    for batch in rows.with_format("arrow").iter(batch_size=100_000):
        texts = batch[column]
        if not (pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type)):
            raise InputError(f"the column holds {texts.type}, not text", "convert it", path=name, field=column)
        empty = pc.fill_null(pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(texts)), 0), True)
        bad = pc.indices_nonzero(empty).to_pylist()
        if bad:
            raise InputError(
                f"{len(bad)} text(s) are missing or empty, the first here",
                "remove these rows: rows.filter(lambda row: row['source'] and row['translation'])",
                path=name,
                row=position + bad[0] + 1,
                field=column,
            )
        position += len(texts)
