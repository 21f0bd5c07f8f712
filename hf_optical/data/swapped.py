"""Are the columns of a bitext the wrong way round? English gives itself away by its function words."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

__all__ = ["LOOKED_AT", "english_side", "swapped"]

LOOKED_AT = 300
"""Pairs of the beginning of a file that are enough to say."""

# Words that other languages do not share: "at", "is", "in", "he" and the like are words of Danish, Dutch or Maori.
_ENGLISH_WORDS = frozenset(("the", "of", "and", "that", "with", "this", "which", "from", "they", "are", "were", "been"))
_WORD = re.compile(r"[^\W\d_]+")
_READ = 1000  # characters of a text
_WORDS = 200  # of each side, below which nothing is said
_DIFFERENT = 4
_ENGLISH, _OTHER = 0.08, 0.02
"""Share of these words from which a side is English, and up to which it is not: in running text we found .09 to .19 in
English and at most .002 in Amharic, French, German, Hindi, Igbo, Kinyarwanda, Marathi, Somali, Swahili, Tagalog."""


def swapped(pairs: Sequence[tuple[str, str]], source: str, translation: str) -> tuple[str, str] | None:
    """Whether English is in the other column, of sentences: lists of words have no function words.

    Args:
        pairs: What was taken for English, and for its translation; the first `LOOKED_AT` are looked at.
        source: Name of the column that was taken for English.
        translation: Of the other.

    Returns:
        What is wrong and the remedy; ``None`` where nothing is, or where there is too little text to say.

    Example:
        >>> pair = "Mtoto yumo nyumbani na watu wengi", "The child of which they spoke is in this house"
        >>> problem, remedy = swapped([pair] * 50, "en", "sw")
        >>> problem
        "column 'sw' reads as English and 'en' does not: 50 and 0 in a hundred words are the, of, and..."
        >>> remedy
        'swap the columns, in the file or with --source_field sw --translation_field en'
    """
    found = _shares(pairs)
    if found is None or _english(found) != 1:
        return None
    (other, _), (english, _) = found
    problem = (
        f"column {translation!r} reads as English and {source!r} does not: {100 * english:.0f} and {100 * other:.0f} "
        "in a hundred words are the, of, and..."
    )
    columns = f"--source_field {shlex.quote(translation)} --translation_field {shlex.quote(source)}"
    return problem, f"swap the columns, in the file or with {columns}"


def english_side(pairs: Sequence[tuple[str, str]]) -> int | None:
    """Which side of sentence pairs reads as English, 0 or 1; None where both do, neither does, or there is too little.

    Example:
        >>> english_side([("Mtoto yumo nyumbani na watu", "The child of which they spoke is in this house")] * 50)
        1
    """
    found = _shares(pairs)
    return None if found is None else _english(found)


def _shares(pairs: Sequence[tuple[str, str]]) -> list[tuple[float, int]] | None:
    """Of both sides the share of English function words, and how many different ones; None for too little text."""
    sides = [
        [word for pair in pairs[:LOOKED_AT] for word in _WORD.findall(pair[side][:_READ].lower())] for side in (0, 1)
    ]
    if min(map(len, sides)) < _WORDS:
        return None
    english = [[word for word in words if word in _ENGLISH_WORDS] for words in sides]
    return [(len(found) / len(words), len(set(found))) for found, words in zip(english, sides, strict=True)]


def _english(shares: list[tuple[float, int]]) -> int | None:
    for side in (0, 1):
        (share, different), (other, _) = shares[side], shares[1 - side]
        if share >= _ENGLISH and different >= _DIFFERENT and other <= _OTHER:
            return side
    return None
