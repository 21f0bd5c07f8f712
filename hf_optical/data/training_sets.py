"""Checks of training sets that are passed to the trainers in memory, like those of files."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from datasets import Dataset, DatasetDict, Features, IterableDataset, Value

from hf_optical.data.column_content import SAMPLED, content_of
from hf_optical.data.columns import Columns, choose_columns
from hf_optical.data.kinds import COLUMNS, kind_of
from hf_optical.data.languages import ENGLISH, UnknownLanguageError, normalize
from hf_optical.data.swapped import swapped
from hf_optical.data.texts import excerpt, one_form, text_fault
from hf_optical.errors import InputError

__all__ = ["check_training_sets"]

logger = logging.getLogger(__name__)

_UNNAMED = "the training set"


def check_training_sets(data: Any, *, keep: Sequence[str] = ()) -> Any:
    """Check names, columns and texts of training sets, and order the columns as the losses read them.

    Args:
        data: A set of bitext, which is a data set (streaming or not) or a list of mappings or pairs; or a mapping from
            names (``bitext/eng_Latn-swh_Latn``) to such sets; or ``None``. Columns of bitext that are not called
            ``source`` and ``translation`` are chosen by name and content, as in files.
        keep: Columns without text to keep if they exist (``language``, for language adapters).

    Returns:
        The checked set, or for a mapping a ``DatasetDict`` (a dictionary if it has streams). Texts are in Unicode's
        normal form NFC. Streams are checked while they are read.

    Raises:
        InputError: A kind is unknown, columns are missing or unclear, there are no rows, or texts are missing or empty,
            with their row numbers.
    """
    if data is None or isinstance(data, str):
        return data
    if isinstance(data, Mapping):
        if not data:
            raise InputError("there is no training set", "give at least one, e.g. 'bitext/eng_Latn-swh_Latn'")
        checked = {name: _check(_table(rows, name), kind_of(name), name, keep) for name, rows in data.items()}
        return checked if any(isinstance(rows, IterableDataset) for rows in checked.values()) else DatasetDict(checked)
    return _check(_table(data, _UNNAMED), "bitext", _UNNAMED, keep)


def _table(rows: Any, name: str) -> Any:
    """Convert rows to a data set."""
    if isinstance(rows, Dataset | IterableDataset):
        return rows
    remedy = "give a datasets.Dataset, an IterableDataset, or a list of mappings or of (English, translation) pairs"
    if not isinstance(rows, list | tuple):
        raise InputError(f"found {type(rows).__name__} where rows are expected", remedy, path=name)
    named: list[dict[str, Any]] = []
    for number, row in enumerate(rows, start=1):
        if isinstance(row, Mapping):
            named.append(dict(row))
        elif isinstance(row, list | tuple) and len(row) == 2:
            named.append(dict(zip(COLUMNS["bitext"][0], row, strict=True)))
        else:
            raise InputError(f"found {excerpt(row)} where a row is expected", remedy, path=name, row=number)
    if not named:
        raise InputError("the set has no rows", "give at least one row", path=name)
    try:
        return Dataset.from_list(named)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"the rows do not form a table ({error})", "give every column values of one type", path=name
        ) from None


def _check(rows: Any, kind: str, name: str, keep: Sequence[str]) -> Any:
    """Check one set, choose its columns and normalise its texts."""
    required, optional = COLUMNS[kind]
    head = list(itertools.islice(rows, SAMPLED))
    columns = list(rows.column_names or dict.fromkeys(key for row in head for key in row))
    if not head:
        raise InputError("the set has no rows", "give at least one row", path=name)
    missing = [column for column in required if column not in columns]
    if missing and kind in ("bitext", "lexicon"):
        found = _chosen(columns, head, name)
        rows = rows.select_columns([found.source, found.translation, *(one for one in keep if one in columns)])
        rows = rows.rename_columns(dict(zip((found.source, found.translation), required, strict=True)))
        columns = [*required, *(one for one in keep if one in columns)]
    elif missing:
        raise InputError(
            f"a {kind} set needs the columns {', '.join(required)}; found {', '.join(columns) or 'none'}",
            f"rename columns with rows.rename_column; missing are {', '.join(missing)}",
            path=name,
        )
    # Other columns are dropped, because the trainer would tokenize them and train on them.
    wanted = [column for column in (*required, *optional) if column in columns]
    kept = [*wanted, *(column for column in keep if column in columns)]
    if columns != kept:
        rows = rows.select_columns(kept)
    head = list(itertools.islice(rows, SAMPLED))
    for column in wanted:
        _refuse_codes([row.get(column) for row in head], column, name)
    if isinstance(rows, IterableDataset):
        return rows.map(
            _checked_batch,
            with_indices=True,
            batched=True,
            fn_kwargs={"columns": wanted, "name": name},
            # The Trainer refuses a stream without features.
            features=Features({column: Value("string") for column in kept}),
        )
    for column in wanted:
        _check_texts(rows, column, name)
    return _in_one_form(rows, wanted)


def _chosen(columns: Sequence[str], head: Sequence[Mapping[str, Any]], name: str) -> Columns:
    """Choose the pair of columns of a set of bitext by names and content."""
    try:
        found = choose_columns(columns, rows=head, language=_language(name), path=name)
    except InputError as error:
        named = " or, for questions and passages, name the set (mono/eng_Latn...)" if name == _UNNAMED else ""
        raise InputError(
            f"a bitext set needs the columns source, translation; {error.problem}",
            "rename them: rows.rename_columns({..: 'source', ..: 'translation'})" + named,
            path=name,
        ) from None
    pairs = [(row.get(found.source), row.get(found.translation)) for row in head]
    texts = [(one, other) for one, other in pairs if isinstance(one, str) and isinstance(other, str)]
    if wrong := swapped(texts, found.source, found.translation):
        remedy = f"rename them: {{{found.translation!r}: 'source', {found.source!r}: 'translation'}}"
        raise InputError(wrong[0], remedy, path=name, field=found.translation)
    logger.info("%s: %s", name, found.said())
    return found


def _language(name: str) -> str | None:
    """Return the language of the translations if the name of the set states it."""
    for code in name.partition("/")[2].split("-"):
        try:
            found = normalize(code)
        except UnknownLanguageError:
            continue
        if found != ENGLISH:
            return found
    return None


def _refuse_codes(cells: Sequence[Any], column: str, name: str) -> None:
    """Raise an error if a column of text holds identifiers or numbers."""
    what = content_of(cells)
    if len(cells) >= 3 and what in ("codes", "numbers"):
        raise InputError(
            f"the column holds {what} (such as {excerpt(cells[0])}), not text",
            f"rename the column of the texts to {column!r} (rows.rename_column)",
            path=name,
            field=column,
        )


def _checked_batch(batch: dict[str, list[Any]], rows: list[int], columns: Sequence[str], name: str) -> dict[str, Any]:
    """Check the texts of a batch of a stream and normalise them; a bad text is an error, which stops the training."""
    for column in columns:
        for row, text in zip(rows, batch[column], strict=True):
            if fault := text_fault(text):
                raise InputError(fault, "filter such rows out of the stream", path=name, row=row + 1, field=column)
    return {**batch, **{column: [one_form(text) for text in batch[column]] for column in columns}}


def _check_texts(rows: Dataset, column: str, name: str) -> None:
    """Raise an error if a column has missing or empty texts, or other values."""
    position = 0
    for batch in rows.with_format("arrow").iter(batch_size=100_000):
        texts = batch[column]
        if not (pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type)):
            raise InputError(f"the column holds {texts.type}, not text", "convert it", path=name, field=column)
        empty = pc.fill_null(pc.equal(pc.utf8_length(pc.utf8_trim_whitespace(texts)), 0), True)
        bad = pc.indices_nonzero(empty).to_pylist()
        if bad:
            raise InputError(
                f"{len(bad)} text(s) are missing or empty, of which this row has the first",
                "remove these rows: rows.filter(lambda row: row['source'] and row['translation'])",
                path=name,
                row=position + bad[0] + 1,
                field=column,
            )
        position += len(texts)


def _in_one_form(rows: Dataset, columns: Sequence[str]) -> Dataset:
    """Return the data set in Unicode's normal form NFC, unchanged if all texts are in that form."""
    for batch in rows.with_format("arrow").iter(batch_size=10_000):
        for column in columns:
            normal = pc.utf8_normalize(batch[column], form="NFC")
            if not normal.equals(batch[column]):
                return rows.map(_composed, batched=True, fn_kwargs={"columns": list(columns)})
    return rows


def _composed(batch: dict[str, list[str]], columns: Sequence[str]) -> dict[str, list[str]]:
    return {column: [one_form(text) for text in batch[column]] for column in columns}
