"""Titles of documents, which evaluation and training can put before the text."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)


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


def warn_of_unread_titles(path: str | Path, count: int, documents: int) -> None:
    """Log a warning that ``count`` of a file's documents have a title that is not read; nothing if ``count`` is 0."""
    if count:
        logger.warning(
            "%s: %d of %d documents have a title, which is not read; --titles true (use_titles=True) puts it before "
            "the text, as BEIR and MTEB do", path, count, documents,
        )  # fmt: skip
