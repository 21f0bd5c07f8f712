"""Determination of the header and the two columns of a table of pairs, and renaming of rows with other names."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from hf_optical.data.column_content import SAMPLED, contents
from hf_optical.data.column_names import listed
from hf_optical.data.columns import Columns, choose_columns
from hf_optical.data.headers import is_header, refuse_unknown_header
from hf_optical.data.tables import Fault, Numbered, Records, positions, renamed
from hf_optical.errors import InputError

__all__ = ["with_columns"]

logger = logging.getLogger(__name__)


def with_columns(
    records: Records, name: str, source_field: str | None, translation_field: str | None, language: str | None
) -> tuple[Records, Columns]:
    """Determine whether a table has a header, and which two of its columns are the pair.

    Args:
        records: The table, whose first rows are examined.
        name: Name of the source, for messages.
        source_field: The English column, or ``None`` to guess it.
        translation_field: The column of the other language, or ``None`` to guess it.
        language: FLORES code of the translations, if known.

    Returns:
        The rows by column name, and the pair of columns. If rows of a JSON file have other names for both columns,
        because files were concatenated, they are renamed.

    Raises:
        InputError: As in :func:`~hf_optical.data.columns.choose_columns`, or it is unclear whether the first row is a
            header.
    """
    first = records.first
    options = {"source_field": source_field, "translation_field": translation_field, "language": language}
    _require_two(records.columns if first is None else first, name)
    if first is None:
        head, rows = _peeked(records.rows)
        columns = choose_columns(records.columns, rows=[] if records.placed else head, path=name, **options)
        if columns.guessed:
            rows = _same_names(rows, columns, language, name)
        return Records(records.columns, rows), columns
    by_position = positions(len(first))
    given = [option for option in (source_field, translation_field) if option is not None]
    if given and all(option in by_position and option not in first for option in given):
        head, rows = _peeked(records.rows)
        return Records(by_position, rows, first), choose_columns(by_position, rows=head, path=name, **options)
    if not given and not is_header(first, language=language, path=name):
        return _without_header(records, first, name)
    twice = next((cell for cell in first if first.count(cell) > 1), None)
    if twice is not None:
        raise InputError("two columns have this name", "give each column its own name", path=name, row=1, field=twice)
    head, rows = _peeked(renamed(records.rows, first))
    return Records(first, rows), choose_columns(first, rows=head, path=name, **options)


def _without_header(records: Records, first: list[str], name: str) -> tuple[Records, Columns]:
    """Choose the two columns of text of a table without a header, of which the first is taken for English.

    The reader checks later whether the order is right.
    """
    head, rows = _peeked(records.rows)
    refuse_unknown_header(first, [list(row.values()) for row in head[1:]], name)
    names = positions(len(first))
    held = contents(names, head)
    texts = [column for column in names if held[column][0] == "text"]
    remedy = "name the columns by position, such as --source_field 1 --translation_field 2"
    if len(first) > 2 and len(texts) != 2:
        raise InputError(
            f"the first row ({listed(first)}) is not a header, and {len(texts)} columns hold text where two are needed",
            remedy,
            path=name,
        )
    if len(head) >= 3 and len(texts) < 2:
        column = next(column for column in names if column not in texts)
        what, example = held[column]
        raise InputError(f"the column holds {what} (such as {example}), not text", remedy, path=name, field=column)
    source, translation = texts if len(texts) == 2 else names
    left = tuple(f"{column!r} ({held[column][0]})" for column in names if column not in (source, translation))
    return Records(names, rows, first), Columns(source, translation, guessed=True, left=left)


def _peeked(rows: Iterable[Numbered]) -> tuple[list[dict[str, Any]], Iterator[Numbered]]:
    """Return the sound rows among the first, and an iterator over all rows."""
    iterator = iter(rows)
    head = list(itertools.islice(iterator, SAMPLED))
    return [row for _, row in head if not isinstance(row, Fault)], itertools.chain(head, iterator)


def _same_names(rows: Iterable[Numbered], columns: Columns, language: str | None, name: str) -> Iterator[Numbered]:
    """Rename rows that have neither of the two columns, after choosing the pair of columns among their own names."""
    known: dict[tuple[str, ...], Columns | None] = {}
    for number, row in rows:
        if isinstance(row, Fault) or columns.source in row or columns.translation in row:
            yield number, row
            continue
        names = tuple(row)
        if names not in known:
            known[names] = _chosen(names, row, language)
            if known[names] is not None:
                logger.info("%s, from row %d: %s", name, number, known[names].said())  # type: ignore[union-attr]
        found = known[names]
        yield number, row if found is None else _renamed(row, found, columns)


def _chosen(names: Sequence[str], row: Mapping[str, Any], language: str | None) -> Columns | None:
    """Choose the pair of columns of one row; ``None`` if it is not clear."""
    try:
        return choose_columns(names, rows=[row], language=language)
    except InputError:
        return None


def _renamed(row: Mapping[str, Any], found: Columns, columns: Columns) -> dict[str, Any]:
    new = {found.source: columns.source, found.translation: columns.translation}
    return {new.get(name, name): value for name, value in row.items()}


def _require_two(columns: Sequence[str], name: str) -> None:
    if len(columns) < 2:
        found = ", ".join(repr(column) for column in columns) or "none"
        raise InputError(
            f"two columns are needed, found {len(columns)} ({found})",
            "give English and its translation; a .tsv file is split at tabs, a .csv file at commas, semicolons or tabs",
            path=name,
        )
