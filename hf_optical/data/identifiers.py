"""Identifiers of queries and documents, and the document of a sentence, read by the same rules in all tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hf_optical.data.texts import excerpt
from hf_optical.errors import InputError

__all__ = ["FIELDS", "document_of", "identifier_field", "identifier_of"]

FIELDS = ("_id", "id")
"""Names of the identifier's field, BEIR's first; if a row has both, the first is used."""
_DOCUMENT_FIELDS = ("doc", "document", "doc_id", "document_id")


def identifier_field(row: Mapping[str, Any]) -> str:
    """Return the name of the identifier's field in a row."""
    return "_id" if "_id" in row else "id"


def identifier_of(row: Mapping[str, Any], path: str | Path | None, number: int, *, field: str | None = None) -> str:
    """Return the identifier of a row as text.

    Args:
        row: The row.
        path: The file, for messages.
        number: The row's number, for messages.
        field: The field, if it is neither ``_id`` nor ``id``.

    Returns:
        The text itself, or a whole number as text. ``7`` and ``7.0`` are both ``"7"``, because columns of numbers with
        missing values are often stored as floats.

    Raises:
        InputError: The field is missing, null or blank, or holds something else.

    Example:
        >>> identifier_of({"_id": "d1"}, None, 1), identifier_of({"id": 7.0}, None, 2)
        ('d1', '7')
    """
    field = field or identifier_field(row)
    value = row.get(field)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, str) and value.strip():
        return value
    found = excerpt(value) if field in row else f"only {', '.join(row) or 'an empty object'}"
    raise InputError(
        f"found {found} where an identifier is expected",
        "give every row its own 'id' (or '_id'), a text or a whole number",
        path=path,
        row=number,
        field=field,
    )


def document_of(row: Mapping[str, Any]) -> str | None:
    """Return the document that a row of a bitext names in a column ``doc`` (``document``, ``doc_id``), or ``None``.

    Example:
        >>> document_of({"en": "goat", "doc": 7}), document_of({"en": "goat", "doc": ""})
        ('7', None)
    """
    return next((str(row[field]) for field in _DOCUMENT_FIELDS if row.get(field)), None)
