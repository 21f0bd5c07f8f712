"""A small dictionary of the embedded default: its content words, English beside another language."""

from __future__ import annotations

from hf_optical.commands.sample.grammar import LANGUAGES
from hf_optical.commands.sample.lexicon import lexicon
from hf_optical.errors import InputError


def dictionary(language: str) -> list[tuple[str, str]]:
    """Pairs of an English word and its translation, for lexical injection and the layer probe.

    Verbs and adjectives are left out: their tables hold stems, and other forms than the sentences have.

    Args:
        language: One of `LANGUAGES`, a FLORES code.

    Raises:
        InputError: When the sample does not speak the language.

    Example:
        >>> ("teacher", "mwalimu") in dictionary("swh_Latn")
        True
    """
    if language not in LANGUAGES:
        raise InputError(f"the embedded sample has no {language}", f"choose among {', '.join(LANGUAGES)}")
    column = {"swh_Latn": "swahili", "som_Latn": "somali", "tgl_Latn": "tagalog", "mar_Deva": "marathi"}[language]
    words = lexicon()
    tables = (words.persons, words.objects, words.places, words.times)
    return [(concept.english, getattr(concept, column)) for table in tables for concept in table]
