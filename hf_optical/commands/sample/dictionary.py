"""Small dictionary of the sample data: its content words in English and in another language."""

from __future__ import annotations

from hf_optical.commands.sample.grammar import LANGUAGES
from hf_optical.commands.sample.lexicon import lexicon
from hf_optical.errors import InputError


def dictionary(language: str) -> list[tuple[str, str]]:
    """Return pairs of an English word and its translation, for lexical injection and the layer probe.

    Verbs and adjectives are left out, because their tables have stems, and not the forms that occur in sentences.

    Args:
        language: FLORES code, one of `LANGUAGES`.

    Raises:
        InputError: The sample data does not have the language.

    Example:
        >>> ("teacher", "mwalimu") in dictionary("swh_Latn")
        True
    """
    if language not in LANGUAGES:
        raise InputError(f"the embedded sample has no {language}", f"choose one of {', '.join(LANGUAGES)}")
    column = {"swh_Latn": "swahili", "som_Latn": "somali", "tgl_Latn": "tagalog", "mar_Deva": "marathi"}[language]
    words = lexicon()
    tables = (words.persons, words.objects, words.places, words.times)
    return [(concept.english, getattr(concept, column)) for table in tables for concept in table]
