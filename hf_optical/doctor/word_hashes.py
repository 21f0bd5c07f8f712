"""Hashing of the words of whole chunks of texts to 64 bits, without a loop over texts.

The hash of a word is a polynomial of its characters modulo 2**64, computed from cumulative sums (Karp and Rabin, 1987,
"Efficient randomized pattern-matching algorithms") and then mixed. It is the same in every process.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hf_optical.doctor.characters import ALPHA, SEPARATOR, SOLO, WORD, characters, code_points, join

__all__ = ["Words", "mixed", "words_of"]

_BASE = 0x9E3779B97F4A7C15
_STEM = 5  # characters; prefixes of this length aligned best among the forms tried (benchmarks/misalignment.py)


@dataclass(frozen=True)
class Words:
    """Hashes of the words of some texts, which are case-folded runs of letters, marks and digits.

    In scripts without spaces every character is a word.

    Attributes:
        hashes: Hash of each word, uint64 ``(words,)``.
        stems: Hash of the first five characters of each word, uint64 ``(words,)``.
        ends: Number of words before each text, ``(texts + 1,)``: text i has the words ``ends[i]:ends[i + 1]``.
        keys: Hash of each text as a sequence of words, uint64 ``(texts,)``, which is equal for texts that differ only
            in case, punctuation and spaces.
    """

    hashes: np.ndarray
    stems: np.ndarray
    ends: np.ndarray
    keys: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """Number of words of each text, ``(texts,)``."""
        return np.diff(self.ends)

    @property
    def rows(self) -> np.ndarray:
        """Index of the text of each word, ``(words,)``."""
        return np.repeat(np.arange(len(self.keys)), self.counts)


def words_of(texts: Sequence[str]) -> Words:
    """Split texts into words and hash them.

    Example:
        >>> words = words_of(["Asante sana!", "asante  SANA", "sana asante"])
        >>> words.counts.tolist(), bool(words.keys[0] == words.keys[1]), bool(words.keys[0] == words.keys[2])
        ([2, 2, 2], True, False)
    """
    joined = join(texts)
    folded = joined.lower() if joined.isascii() else _normalised(joined).casefold()
    codes = code_points(folded)
    found = characters(codes)
    classes = found.classes
    inside = (classes & WORD) != 0
    starts, stops = _runs(inside, classes)
    values = codes.astype(np.uint64)
    values += np.uint64(1)
    values *= np.uint64(0xD6E8FEB86659FD93)
    values ^= values >> np.uint64(29)
    power, inverse = _powers(_size(len(codes)))
    values *= power[: len(codes)]
    sums = np.zeros(len(codes) + 1, dtype=np.uint64)
    np.cumsum(values, out=sums[1:])
    base = sums[starts]
    factor = inverse[starts]
    hashes = mixed((sums[stops] - base) * factor)
    stems = mixed((sums[np.minimum(starts + _STEM, stops)] - base) * factor)
    ends = np.concatenate([[0], np.searchsorted(starts, found.ends)])
    return Words(hashes, stems, ends, _keys(hashes, ends, texts))


def _normalised(joined: str) -> str:
    """Convert joined texts to Unicode's form NFKC, one by one, because those already in it are recognised quickly."""
    return SEPARATOR.join([unicodedata.normalize("NFKC", text) for text in joined.split(SEPARATOR)])


def mixed(values: np.ndarray) -> np.ndarray:
    """Spread every bit of uint64 hashes over all others (the finaliser of MurmurHash3)."""
    values = values ^ (values >> np.uint64(33))
    values *= np.uint64(0xFF51AFD7ED558CCD)
    values ^= values >> np.uint64(33)
    values *= np.uint64(0xC4CEB9FE1A85EC53)
    values ^= values >> np.uint64(33)
    return values


def _runs(inside: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the starts and stops of words. All stops are inside the array, because a separator follows the last text."""
    before = np.zeros_like(inside)
    before[1:] = inside[:-1]
    solo = (classes & SOLO) != 0
    if not solo.any():
        return np.flatnonzero(inside & ~before), np.flatnonzero(before & ~inside)
    # In a script without spaces every letter with its marks is a word.
    letter = solo & ((classes & ALPHA) != 0)
    after = np.zeros_like(letter)
    after[1:] = solo[:-1] & ~solo[1:]
    cut = inside & (letter | after | ~before)
    return np.flatnonzero(cut), np.flatnonzero(before & (cut | ~inside))


def _keys(hashes: np.ndarray, ends: np.ndarray, texts: Sequence[str]) -> np.ndarray:
    """Hash each text as its sequence of words, or its characters if it has no words."""
    power, inverse = _powers(_size(len(hashes) + 1))
    sums = np.zeros(len(hashes) + 1, dtype=np.uint64)
    np.cumsum(hashes * power[: len(hashes)], out=sums[1:])
    keys = mixed((sums[ends[1:]] - sums[ends[:-1]]) * inverse[ends[:-1]])
    for row in np.flatnonzero(np.diff(ends) == 0).tolist():  # texts without words
        digest = hashlib.blake2b(texts[row].strip().encode("utf-8", "surrogatepass"), digest_size=8).digest()
        keys[row] = np.frombuffer(digest, dtype=np.uint64)[0]
    return keys


def _size(length: int) -> int:
    """Round a length up to a power of two, so that few tables of powers are computed."""
    return max(1 << 16, 1 << int(length).bit_length())


@lru_cache(maxsize=2)
def _powers(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Compute the powers of the base and of its inverse, modulo 2**64."""
    found = []
    for base in (_BASE, pow(_BASE, -1, 1 << 64)):
        powers = np.full(size, base, dtype=np.uint64)
        powers[0] = 1
        found.append(np.cumprod(powers, dtype=np.uint64))
    return found[0], found[1]
