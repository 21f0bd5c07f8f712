"""Words that differ in accents and tone marks alone, which a tokenizer that strips accents reads as one."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

import regex

__all__ = ["MarkedWords", "without_marks"]

_WORD = regex.compile(r"[\p{L}\p{M}]+")
_MOST = 200_000  # different words that are held; the first of a large file say enough
_SHARE = 0.01  # of the words, below which nothing is said


def without_marks(word: str) -> str:
    """Take off what BERT's uncased tokenizers take off: letter case, and marks of the Unicode category Mn.

    Example:
        >>> without_marks("Ọ́kọ̀"), without_marks("कि")
        ('oko', 'कि')
    """
    parts = unicodedata.normalize("NFD", word.lower())
    return unicodedata.normalize("NFC", "".join(sign for sign in parts if unicodedata.category(sign) != "Mn"))


class MarkedWords:
    """Count the different words of some texts that become one with another without their marks.

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
        """Count the words of more texts, up to 200,000 different ones."""
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
        """How many different words share their letters with another word."""
        return sum(len(words) for words in self._of.values() if len(words) > 1)

    @property
    def example(self) -> list[str]:
        """The words of the largest group that becomes one, four at most."""
        largest = max(self._of.values(), key=len, default=set())
        return sorted(largest)[:4]

    def note(self) -> str | None:
        """What is worth knowing about the language, where a hundredth of the words or more would merge."""
        if not self.different or self.merged < _SHARE * self.different:
            return None
        words = f"{self.merged:,} of {self.different:,} different words of the translations"
        example = ", ".join(self.example)
        return (
            f"{words} differ from another one only in accents or tone marks ({example}): a teacher whose tokenizer "
            "strips accents, as uncased BERT models do, reads them as one, and so does a student grown from it."
        )
