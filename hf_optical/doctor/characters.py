"""Classification of the characters of a whole chunk of texts at a time, by one table look-up per character."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from hf_optical.data.texts import BLANK_LETTERS

__all__ = [
    "ALPHA",
    "BROKEN",
    "CONTROL",
    "DIGIT",
    "ENGLISH_SCRIPT",
    "OTHER_SCRIPT",
    "SEPARATOR",
    "SOLO",
    "VISIBLE",
    "WORD",
    "Characters",
    "characters",
    "class_table",
]

WORD, ALPHA, DIGIT, VISIBLE, CONTROL, BROKEN, SOLO, ENGLISH_SCRIPT, OTHER_SCRIPT, MOJI_LEAD, MOJI_TAIL = (
    1 << bit for bit in range(11)
)

SEPARATOR = "\uffff"
"""Separator of the texts of a chunk: a noncharacter, which valid texts do not contain."""

_TOP = 0x1FFFF  # the planes above have rare Chinese characters and little else
_NO_SPACES = ("Hani", "Hira", "Kana", "Thai", "Laoo", "Khmr", "Mymr", "Tibt")
_COMPOSED = {"Jpan": ("Hani", "Hira", "Kana"), "Kore": ("Hang", "Hani"), "Hans": ("Hani",), "Hant": ("Hani",)}
_BIDI = frozenset([*range(0x202A, 0x202F), *range(0x2066, 0x206A)])


class Characters:
    """Classes of the characters of a chunk of texts.

    Attributes:
        classes: Class bits of every character as uint16, ``(characters,)``. Separators are included and have no bits.
        ends: Position of the separator after each text, ``(texts,)``.
    """

    def __init__(self, classes: np.ndarray, ends: np.ndarray) -> None:
        self.classes, self.ends = classes, ends
        self._starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends

    def count(self, bits: int) -> np.ndarray:
        """Count the characters of each text that have at least one of the bits, ``(texts,)``."""
        if not len(self.ends):
            return np.zeros(0, np.int64)
        return np.add.reduceat((self.classes & bits) != 0, self._starts, dtype=np.int64)

    def having(self, bits: int) -> np.ndarray:
        """Return the indices of the texts with a character that has at least one of the bits, in ascending order."""
        return self.rows_at(np.flatnonzero(self.classes & bits))

    def rows_at(self, positions: np.ndarray) -> np.ndarray:
        """Return the indices of the texts at the given positions, which must be ascending, without repetitions."""
        rows = np.searchsorted(self.ends, positions)
        return rows[np.flatnonzero(np.diff(rows, prepend=-1))]


def characters(joined: np.ndarray, script: str | None = None) -> Characters:
    """Classify the characters of joined texts.

    Args:
        joined: Code points of the result of :func:`join`, uint32 ``(characters,)``.
        script: ISO 15924 code of the texts' script, for :data:`OTHER_SCRIPT`; ``None`` if it is not checked.
    """
    classes = class_table(script)[np.minimum(joined, _TOP)]
    return Characters(classes, np.flatnonzero(joined == ord(SEPARATOR)))


def code_points(text: str) -> np.ndarray:
    """Return the code points of a text as uint32, lone surrogates included."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def join(texts: Sequence[str]) -> str:
    """Join texts with :data:`SEPARATOR` behind each one."""
    joined = SEPARATOR.join(texts) + SEPARATOR
    if joined.count(SEPARATOR) > len(texts):
        # The separator inside of texts is replaced by U+FFFE, which is also a noncharacter and reported as such.
        joined = SEPARATOR.join(text.replace(SEPARATOR, "\ufffe") for text in texts) + SEPARATOR
    return joined if texts else ""


@lru_cache(maxsize=8)
def class_table(script: str | None = None) -> np.ndarray:
    """Compute the class bits of every code point up to U+1FFFF, whose entry also serves all code points above.

    Args:
        script: ISO 15924 code of the translations' script, for :data:`OTHER_SCRIPT`.

    Returns:
        uint16, ``(131072,)``.
    """
    if script is not None:
        table = class_table().copy()
        for code in _COMPOSED.get(script, (script,)):
            _mark(table, f"Script={code}", OTHER_SCRIPT)
        return table
    table = np.zeros(_TOP + 1, dtype=np.uint16)
    for name, bits in (("L", WORD | ALPHA), ("M", WORD), ("Nd", WORD | DIGIT), ("Cc", CONTROL), ("Co", CONTROL)):
        _mark(table, name, bits)
    table |= VISIBLE
    for name in ("C", "Z"):
        _mark(table, name, VISIBLE, clear=True)
    table[[ord(blank) for blank in BLANK_LETTERS]] &= ~np.uint16(VISIBLE)
    table[[ord("\t"), ord("\n"), ord("\r"), 0x85]] &= ~np.uint16(CONTROL)
    table[[*_BIDI, 0xFEFF, 0xFFFE, *range(0xFDD0, 0xFDF0)]] |= CONTROL
    table[0xFFFD] |= BROKEN
    table[0xD800:0xE000] = BROKEN
    table[_TOP] = WORD | ALPHA | VISIBLE | SOLO
    table[ord(SEPARATOR)] = 0
    for code in _NO_SPACES:
        _mark(table, f"Script={code}", SOLO)
    _mark(table, "Script=Latn", ENGLISH_SCRIPT)
    # In UTF-8 decoded as Windows-1252 or Latin-1, a lead byte becomes a letter and continuation bytes become signs.
    table[0xC2:0xF5] |= MOJI_LEAD
    table[0x80:0xC0] |= MOJI_TAIL
    tails = bytes(range(0x80, 0xC0)).decode("cp1252", "ignore")
    table[[ord(tail) for tail in tails]] |= MOJI_TAIL
    return table


@lru_cache(maxsize=1)
def _all_characters() -> str:
    """Return a text of all code points but the surrogates, which regular expressions do not match."""
    codes = np.arange(_TOP + 1, dtype=np.uint32)
    return codes[(codes < 0xD800) | (codes >= 0xE000)].tobytes().decode("utf-32-le")


def _mark(table: np.ndarray, property_: str, bits: int, *, clear: bool = False) -> None:
    """Set (or clear) bits for the characters that have a Unicode property."""
    import regex

    text = _all_characters()
    for match in regex.finditer(rf"\p{{{property_}}}+", text):
        first, last = ord(text[match.start()]), ord(text[match.end() - 1])
        # A run may include the surrogates, whose entries `class_table` sets.
        span = slice(first, last + 1)
        table[span] = table[span] & ~np.uint16(bits) if clear else table[span] | bits
