"""Conversion of facts and questions to sentences, and word alignment of a sentence with its translation."""

from __future__ import annotations

from hf_optical.commands.sample.facts import Fact, Question, Word
from hf_optical.commands.sample.languages import english, marathi, somali, swahili, tagalog

GRAMMARS = {
    "eng_Latn": english,
    "swh_Latn": swahili,
    "som_Latn": somali,
    "tgl_Latn": tagalog,
    "mar_Deva": marathi,
}
LANGUAGES = tuple(language for language in GRAMMARS if language != "eng_Latn")


def say(content: Fact | Question, language: str) -> list[Word]:
    """Write a fact or a question in a language; the first word is capitalised, and the last has the full stop.

    Args:
        content: The fact or question.
        language: FLORES code, one of `GRAMMARS`.

    Returns:
        The words of the sentence with their roles.

    Example:
        >>> from random import Random
        >>> from hf_optical.commands.sample.facts import draw_event
        >>> from hf_optical.commands.sample.lexicon import lexicon
        >>> fact = draw_event(Random(4), lexicon())
        >>> text(say(fact, "eng_Latn")).startswith("The ")
        True
    """
    asked = isinstance(content, Question)
    grammar = GRAMMARS[language]
    words = grammar.question(content) if isinstance(content, Question) else grammar.statement(content)
    words[0] = words[0]._replace(text=words[0].text[0].upper() + words[0].text[1:])
    words[-1] = words[-1]._replace(text=words[-1].text + ("?" if asked else "."))
    return words


def text(words: list[Word]) -> str:
    """Join words into a sentence with single spaces."""
    return " ".join(word.text for word in words)


def align(source: list[Word], translation: list[Word]) -> list[tuple[int, int]]:
    """Align the words of a sentence with those of its translation that have the same role.

    Words are counted from 0, as in `text.split()`. Words without a counterpart are not aligned.

    Returns:
        The gold alignment, pairs (index in source, index in translation).

    Example:
        >>> align([Word("the"), Word("book", "object")], [Word("kitabu", "object")])
        [(1, 0)]
    """
    return [
        (i, j)
        for i, word in enumerate(source)
        for j, other in enumerate(translation)
        if word.role is not None and word.role == other.role
    ]
