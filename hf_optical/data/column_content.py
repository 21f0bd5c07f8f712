"""Classification of a column's content by a sample of its cells: text, codes, numbers, other values, or nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from hf_optical.data.texts import excerpt

__all__ = ["SAMPLED", "Content", "content_of", "contents"]

SAMPLED = 300
"""Number of rows at the beginning of a table that are examined."""

Content = Literal["text", "codes", "numbers", "values", "nothing"]

_MOST = 0.9  # share of the cells that must be of one kind
# ASCII with a digit and without white space: "doc-0017", "3f2a9c", "2021_05.txt". Only ASCII, because Chinese and Thai
# texts are written without spaces too.
_CODE = re.compile(r"(?=[^0-9]*[0-9])[A-Za-z0-9_.:/#@+=-]+|https?://\S+")


def content_of(cells: Sequence[Any]) -> Content:
    """Return the kind of content of most cells.

    Args:
        cells: The cells of one column, ``None`` for a row without a value.

    Returns:
        ``"text"`` if more than a tenth of the non-empty cells are text with letters that is not a code; otherwise
        ``"codes"`` (identifiers, file names, addresses), ``"numbers"`` (written as text), ``"values"`` (numbers,
        lists...), or ``"nothing"`` if all cells are empty.

    Example:
        >>> content_of(["doc-1", "doc-2"]), content_of(["5000", "5001"]), content_of([1]), content_of(["a goat", "x"])
        ('codes', 'numbers', 'values', 'text')
    """
    filled = [cell for cell in cells if cell is not None and not (isinstance(cell, str) and not cell.strip())]
    if not filled:
        return "nothing"
    texts = [cell.strip() for cell in filled if isinstance(cell, str)]
    if len(texts) < (1 - _MOST) * len(filled) or not texts:
        return "values"
    numbers = sum(not any(character.isalpha() for character in text) for text in texts)
    codes = sum(_CODE.fullmatch(text) is not None for text in texts)
    if numbers >= _MOST * len(filled):
        return "numbers"
    return "codes" if max(codes, numbers) >= _MOST * len(filled) else "text"


def contents(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Content, str]]:
    """Return the kind of content of every column with an example cell.

    Args:
        columns: Names of the columns.
        rows: Rows of the table by column name.

    Example:
        >>> contents(["id", "en"], [{"id": "a-1", "en": "the goat"}])
        {'id': ('codes', "'a-1'"), 'en': ('text', "'the goat'")}
    """
    found: dict[str, tuple[Content, str]] = {}
    for name in columns:
        cells = [row.get(name) for row in rows]
        shown = next((cell for cell in cells if cell not in (None, "")), None)
        found[name] = content_of(cells), excerpt(shown, 30)
    return found
