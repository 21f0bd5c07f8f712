"""Facts and questions as sentences, and the word alignment of a sentence with its translation."""

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
    """The words of a fact or a question in a language, the first one capitalised, the last one punctuated.

    Args:
        content: What to say.
        language: The FLORES code of one of `GRAMMARS`.

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
    """The sentence of some words: they are separated by single spaces."""
    return " ".join(word.text for word in words)


def align(source: list[Word], translation: list[Word]) -> list[tuple[int, int]]:
    """The gold alignment: the pairs (index in source, index in translation) of words that play the same part.

    Words are counted from 0 and are what `text.split()` gives. Words without a counterpart stay unaligned.

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
