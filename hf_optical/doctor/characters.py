"""Character classes for whole chunks of texts at a time, by one table look-up per character."""

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
"""Stands between the texts of a chunk: a noncharacter, which no text may hold."""

_TOP = 0x1FFFF  # planes 2 and above hold rare Chinese characters and little else
_NO_SPACES = ("Hani", "Hira", "Kana", "Thai", "Laoo", "Khmr", "Mymr", "Tibt")
_COMPOSED = {"Jpan": ("Hani", "Hira", "Kana"), "Kore": ("Hang", "Hani"), "Hans": ("Hani",), "Hant": ("Hani",)}
_BIDI = frozenset([*range(0x202A, 0x202F), *range(0x2066, 0x206A)])


class Characters:
    """The characters of a chunk of texts.

    Attributes:
        classes: uint16 class bits of every character, separators (no bits) included, ``(characters,)``.
        ends: Position of the separator after each text, ``(texts,)``.
    """

    def __init__(self, classes: np.ndarray, ends: np.ndarray) -> None:
        self.classes, self.ends = classes, ends
        self._starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else ends

    def count(self, bits: int) -> np.ndarray:
        """Count the characters of each text that have any of the bits, ``(texts,)``."""
        if not len(self.ends):
            return np.zeros(0, np.int64)
        return np.add.reduceat((self.classes & bits) != 0, self._starts, dtype=np.int64)

    def having(self, bits: int) -> np.ndarray:
        """The numbers of the texts that have any such character; cheap where there are few."""
        return self.rows_at(np.flatnonzero(self.classes & bits))

    def rows_at(self, positions: np.ndarray) -> np.ndarray:
        """The numbers of the texts that hold the positions (ascending), each once."""
        rows = np.searchsorted(self.ends, positions)
        return rows[np.flatnonzero(np.diff(rows, prepend=-1))]


def characters(joined: np.ndarray, script: str | None = None) -> Characters:
    """Classify the code points of texts joined by :data:`SEPARATOR`, each followed by one."""
    classes = class_table(script)[np.minimum(joined, _TOP)]
    return Characters(classes, np.flatnonzero(joined == ord(SEPARATOR)))


def code_points(text: str) -> np.ndarray:
    """The code points of a text, lone surrogates included, as uint32."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)


def join(texts: Sequence[str]) -> str:
    """Join texts into the array that :func:`characters` reads."""
    joined = SEPARATOR.join(texts) + SEPARATOR
    if joined.count(SEPARATOR) > len(texts):
        # U+FFFE is as much a noncharacter, and is reported as such.
        joined = SEPARATOR.join(text.replace(SEPARATOR, "\ufffe") for text in texts) + SEPARATOR
    return joined if texts else ""


@lru_cache(maxsize=8)
def class_table(script: str | None = None) -> np.ndarray:
    """Class bits of every code point up to U+1FFFF, the last entry standing for all above; uint16.

    Args:
        script: ISO 15924 code of the translations' script, for :data:`OTHER_SCRIPT`.
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
    # UTF-8 read as Windows-1252 or Latin-1: a lead byte as a letter, then continuation bytes as signs.
    table[0xC2:0xF5] |= MOJI_LEAD
    table[0x80:0xC0] |= MOJI_TAIL
    tails = bytes(range(0x80, 0xC0)).decode("cp1252", "ignore")
    table[[ord(tail) for tail in tails]] |= MOJI_TAIL
    return table


@lru_cache(maxsize=1)
def _all_characters() -> str:
    """Every code point but the surrogates, which no regular expression reads."""
    codes = np.arange(_TOP + 1, dtype=np.uint32)
    return codes[(codes < 0xD800) | (codes >= 0xE000)].tobytes().decode("utf-32-le")


def _mark(table: np.ndarray, property_: str, bits: int, *, clear: bool = False) -> None:
    """Set (or clear) bits for the characters that have a Unicode property."""
    import regex

    text = _all_characters()
    for match in regex.finditer(rf"\p{{{property_}}}+", text):
        first, last = ord(text[match.start()]), ord(text[match.end() - 1])
        # A run may reach over the surrogates, which are set below and show nothing either.
        span = slice(first, last + 1)
        table[span] = table[span] & ~np.uint16(bits) if clear else table[span] | bits
