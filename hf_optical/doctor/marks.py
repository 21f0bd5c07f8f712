"""Counting of words that differ only in accents and tone marks, which some tokenizers strip."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

import regex

__all__ = ["MarkedWords", "without_marks"]

_WORD = regex.compile(r"[\p{L}\p{M}]+")
_MOST = 200_000  # number of different words that are kept, which is enough for an estimate
_SHARE = 0.01  # share of merged words from which there is a note


def without_marks(word: str) -> str:
    """Lower-case a word and remove its marks of the Unicode category Mn, as BERT's uncased tokenizers do.

    Example:
        >>> without_marks("Ọ́kọ̀"), without_marks("कि")
        ('oko', 'कि')
    """
    parts = unicodedata.normalize("NFD", word.lower())
    return unicodedata.normalize("NFC", "".join(sign for sign in parts if unicodedata.category(sign) != "Mn"))


class MarkedWords:
    """Counter of the different words of some texts that equal another word once their marks are removed.

    Example:
        >>> words = MarkedWords()
        >>> words.add(["ọkọ̀ ọkọ", "ilé oko"])
        >>> words.merged, words.different, words.example
        (3, 4, ['oko', 'ọkọ', 'ọkọ̀'])
    """

    def __init__(self) -> None:
        self._of: dict[str, set[str]] = {}
        self.different = 0

    def add(self, texts: Iterable[str]) -> None:
        """Add the words of texts, up to 200,000 different ones in all."""
        for text in texts:
            for word in _WORD.findall(unicodedata.normalize("NFC", text.lower())):
                if self.different >= _MOST:
                    return
                same = self._of.setdefault(without_marks(word), set())
                if word not in same:
                    same.add(word)
                    self.different += 1

    @property
    def merged(self) -> int:
        """Number of different words that equal another one without marks."""
        return sum(len(words) for words in self._of.values() if len(words) > 1)

    @property
    def example(self) -> list[str]:
        """Up to four words of the largest group that are equal without marks."""
        largest = max(self._of.values(), key=len, default=set())
        return sorted(largest)[:4]

    def note(self) -> str | None:
        """Return a note on the effect of stripping accents; ``None`` if less than 1 % of the words would be merged."""
        if not self.different or self.merged < _SHARE * self.different:
            return None
        words = f"{self.merged:,} of {self.different:,} different words of the translations"
        example = ", ".join(self.example)
        return (
            f"{words} differ from another one only in accents or tone marks ({example}). A teacher whose tokenizer "
            "strips accents, as uncased BERT models do, cannot distinguish them, nor can a student grown from it, "
            "unless it is grown by hf-optical train --student extend --keep_marks true. This matters only for queries "
            "that differ in their marks alone; a multilingual encoder as student keeps the marks."
        )
