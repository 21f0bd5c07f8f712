"""Recognition of headers: whether the first row of a TSV or CSV holds column names or data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from hf_optical.data.column_names import is_column_name, listed, names_language
from hf_optical.data.languages import ENGLISH
from hf_optical.errors import InputError

__all__ = ["is_header", "refuse_unknown_header"]

_REMEDY = (
    "name the columns with --source_field and --translation_field: by name if it is a header, "
    "by position ('1' and '2'...) if it is data"
)
_NAME_LIKE = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[_.-][A-Za-z0-9]+)*")
_SENTENCES = 3  # words of the longer side in most rows, from which a first row of single words looks like a header


def is_header(cells: Sequence[str], *, language: str | None = None, path: str | Path | None = None) -> bool:
    """Return whether the first row holds column names and not texts.

    Args:
        cells: The first row.
        language: The code of the wanted language, which also counts as a name.
        path: The file, for messages.

    Returns:
        True if both of two cells are names, or at least one of any other number of cells; False if none is.

    Raises:
        InputError: One of two cells is the name of a column and the other is not, so that both readings are possible.

    Example:
        >>> is_header(["english", "swahili"]), is_header(["Good morning", "Habari ya asubuhi"])
        (True, False)
        >>> is_header(["id", "en", "note"]), is_header(["7", "Good morning", "Habari ya asubuhi"])
        (True, False)
    """
    named = [is_column_name(cell) or (language is not None and names_language(cell, language)) for cell in cells]
    if len(cells) != 2:
        return any(named)
    if any(named) and not all(named):
        other = cells[named.index(False)]
        if names_language(cells[named.index(True)], ENGLISH) and names_language(other, None):
            return True  # such as "en" and "pcm", a code that FLORES-200 does not have
        raise InputError(f"the first row ({listed(cells)}) may be a header or a pair", _REMEDY, path=path, row=1)
    return all(named)


def refuse_unknown_header(first: Sequence[str], rows: Sequence[Sequence[str]], path: str | Path | None) -> None:
    """Refuse a first row that looks like a header with unknown names, because it would be read as a pair.

    Args:
        first: The first row, none of whose cells is a known name.
        rows: The texts of some rows after it.
        path: The file, for messages.

    Raises:
        InputError: The row consists of single words, and at least nine tenths of the other rows of sentences.
    """
    if len(rows) < 3 or not all(_NAME_LIKE.fullmatch(cell.strip()) for cell in first):
        return
    sentences = sum(max((len(cell.split()) for cell in row), default=0) >= _SENTENCES for row in rows)
    if sentences >= 0.9 * len(rows):
        raise InputError(f"the first row ({listed(first)}) may be a header or a pair", _REMEDY, path=path, row=1)
