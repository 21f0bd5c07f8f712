"""Conversion of JSON objects to rows of a table."""

from __future__ import annotations

from typing import Any

__all__ = ["flattened", "unique_fields"]


def unique_fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build a JSON object from its fields, and refuse two with the same name, of which Python would keep the last.

    Raises:
        ValueError: A field occurs twice.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the field {twice!r} occurs twice")
    return found


def flattened(item: dict[str, Any]) -> dict[str, Any]:
    """Flatten one level of nesting into dotted names, as in the ``translation`` feature of Hub datasets."""
    if dict not in map(type, item.values()):  # the common case; mappings from JSON and Arrow are always dicts
        return item
    flat: dict[str, Any] = {}
    for key, value in item.items():
        flat.update(
            {f"{key}.{inner}": part for inner, part in value.items()} if isinstance(value, dict) else {key: value}
        )
    return flat
