"""Titles of documents, which evaluation and training can put before the text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def title_of(row: Mapping[str, Any]) -> str:
    """Return the title of a document's row, or ``""`` if it has none.

    Example:
        >>> title_of({"title": " Lake Victoria "}), title_of({"title": None})
        ('Lake Victoria', '')
    """
    title = row.get("title")
    return title.strip() if isinstance(title, str) else ""


def titled(row: Mapping[str, Any], text: str) -> str:
    """Put the title of a document before its text, unless there is none or the text begins with it.

    Example:
        >>> titled({"title": "Lake Victoria"}, "It lies in three countries.")
        'Lake Victoria It lies in three countries.'
        >>> titled({"title": "Lake Victoria"}, "Lake Victoria lies in three countries.")
        'Lake Victoria lies in three countries.'
    """
    title = title_of(row)
    return text if not title or text.startswith(title) else f"{title} {text}"
