"""Identifiers of queries and documents: one rule wherever rows have them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hf_optical.data.texts import excerpt
from hf_optical.errors import InputError

__all__ = ["FIELDS", "identifier_field", "identifier_of"]

FIELDS = ("_id", "id")
"""As BEIR and as others write it; of a row that has both, the first counts."""


def identifier_field(row: Mapping[str, Any]) -> str:
    """The field of the identifier."""
    return "_id" if "_id" in row else "id"


def identifier_of(row: Mapping[str, Any], path: str | Path | None, number: int, *, field: str | None = None) -> str:
    """The identifier of a row, as text.

    Args:
        row: The row.
        path: The file, for messages.
        number: The row's number, likewise.
        field: The field, where it is another than ``_id`` or ``id``.

    Returns:
        Text as it is; a whole number as text (``7`` and ``7.0`` are ``"7"``, for a table with a gap has floats).

    Raises:
        InputError: The field is missing, null, blank, or holds anything else.

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
        "give every row an 'id' (or '_id') of its own, a text or a whole number",
        path=path,
        row=number,
        field=field,
    )
