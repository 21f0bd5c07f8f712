"""Are the columns of a bitext the wrong way round? English gives itself away by its function words."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable

from hf_optical.errors import InputError

__all__ = ["SwapCheck", "english_words"]

_FUNCTION_WORDS = frozenset(
    """the of and to in is was that for it with as on be at by this are from or an have not they which you he i we his
    """.split()  # noqa: SIM905
)
_WORD = re.compile(r"[^\W\d_]+")
_PAIRS = 300  # of the beginning of a file
_WORDS = 100  # of each side, below which nothing is said
_ENGLISH, _OTHER = 0.15, 0.075
"""Share of function words from which a side is English, and up to which it is not: in running text we found .25 to .4
in English and at most .035 in Amharic, French, German, Hindi, Igbo, Kinyarwanda, Marathi, Somali, Swahili, Tagalog."""


def english_words(text: str) -> tuple[int, int]:
    """How many words of a text are English function words, and how many words it has.

    Example:
        >>> english_words("The child is in the house."), english_words("Mtoto yumo nyumbani.")
        ((4, 6), (0, 3))
    """
    words = _WORD.findall(text.lower())
    return sum(word in _FUNCTION_WORDS for word in words), len(words)


class SwapCheck:
    """Reads the first pairs of a file and stops where English is in the other column.

    Args:
        path: Of the file, for the message.
        source: The column that was taken for English.
        translation: The one that was taken for its translation.
    """

    def __init__(self, path: str, source: str, translation: str) -> None:
        self._path, self._source, self._translation = path, source, translation
        self._seen = 0
        self._counts = ([0, 0], [0, 0])

    def add(self, source: str, translation: str) -> None:
        """Take in a pair; after the first few hundred it costs nothing.

        Raises:
            InputError: The columns are the wrong way round.
        """
        if self._seen >= _PAIRS:
            return
        for count, text in zip(self._counts, (source, translation), strict=True):
            english, words = english_words(text)
            count[0] += english
            count[1] += words
        self._seen += 1
        if self._seen == _PAIRS:
            self.finish()

    def add_all(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Take in the first few hundred of these, and judge.

        Raises:
            InputError: The columns are the wrong way round.
        """
        for source, translation in itertools.islice(pairs, _PAIRS):
            self.add(source, translation)
        self.finish()

    def finish(self) -> None:
        """Judge what was read.

        Raises:
            InputError: The columns are the wrong way round.
        """
        (left, left_words), (right, right_words) = self._counts
        if min(left_words, right_words) < _WORDS:
            return
        if right / right_words >= _ENGLISH and left / left_words <= _OTHER:
            english, other = self._translation, self._source
            raise InputError(
                f"is taken for the translation and reads as English: {right / right_words:.0%} of its words are the, "
                f"of, and... against {left / left_words:.0%} in {other!r}",
                f"swap the columns: --source_field {english} --translation_field {other}",
                path=self._path,
                field=english,
            )
