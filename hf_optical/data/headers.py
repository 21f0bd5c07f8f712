"""Whether the first row of a TSV or CSV holds the names of its columns, or is data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from hf_optical.data.column_names import is_column_name, listed, names_language
from hf_optical.data.languages import ENGLISH
from hf_optical.errors import InputError

__all__ = ["is_header", "refuse_unknown_header"]

_REMEDY = (
    "name the columns with --source_field and --translation_field: by name where it is a header, "
    "by position ('1' and '2'...) where it is data"
)
_NAME_LIKE = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[_.-][A-Za-z0-9]+)*")
_SENTENCES = 3  # words of a side, in most rows, from which a row of single words is no pair like the others


def is_header(cells: Sequence[str], *, language: str | None = None, path: str | Path | None = None) -> bool:
    """Whether the first row holds names rather than texts.

    Args:
        cells: The first row.
        language: The code of the wanted language, which is a name too.
        path: The file, for messages.

    Returns:
        True for two names, and for three or more cells of which one is a name; False where none is.

    Raises:
        InputError: If one of two cells is the name of a column and the other is not: either reading would be a guess.

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
            return True  # "en" and "pcm": a code that is none of FLORES-200
        raise InputError(f"the first row ({listed(cells)}) may be a header or a pair", _REMEDY, path=path, row=1)
    return all(named)


def refuse_unknown_header(first: Sequence[str], rows: Sequence[Sequence[str]], path: str | Path | None) -> None:
    """Stop where a first row of unknown names would be trained on: single words, above rows of sentences.

    Args:
        first: The first row, none of whose cells is a known name.
        rows: The texts of some rows after it.
        path: The file, for messages.

    Raises:
        InputError: The row looks like names.
    """
    if len(rows) < 3 or not all(_NAME_LIKE.fullmatch(cell.strip()) for cell in first):
        return
    sentences = sum(max((len(cell.split()) for cell in row), default=0) >= _SENTENCES for row in rows)
    if sentences >= 0.9 * len(rows):
        raise InputError(f"the first row ({listed(first)}) may be a header or a pair", _REMEDY, path=path, row=1)
