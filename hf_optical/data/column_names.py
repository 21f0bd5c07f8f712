"""Interpretation of column names: a language, a side of the pair, or information about the row."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hf_optical.data.languages import ENGLISH, UnknownLanguageError, find_language, normalize, script_of

__all__ = [
    "ABOUT",
    "GENERIC_ENGLISH",
    "GENERIC_OTHER",
    "PLACEHOLDERS",
    "is_column_name",
    "listed",
    "named_language",
    "names_language",
    "text_language",
]

GENERIC_ENGLISH = ("source", "src", "source_text", "source_sentence", "sentence1", "text1", "original")
GENERIC_OTHER = (
    "translation", "target", "tgt", "target_text", "target_sentence", "translated_text", "translated", "sentence2",
    "text2",
)  # fmt: skip
PLACEHOLDERS = ("xx", "text_xx", "xx_text", "sentence_xx", "translation_xx", "translation.xx", "non_english")
# Words that mark a column of text if a language code stands beside them: ``text_sw``, ``sentence_swh_Latn``,
# ``translation.sw``.
_TEXT_WORDS = frozenset(
    {"text", "sentence", "sent", "translation", "source", "src", "target", "tgt", "content", "segment", "string"}
)
ABOUT = frozenset(
    {"id", "_id", "lang", "language", "corpus", "domain", "license", "licence", "doc", "kind", "note", "score", "split"}
)
"""Columns with information about the row. "id" is also the ISO 639-1 code of Indonesian."""


def listed(names: Sequence[str]) -> str:
    """Join names in quotes for a message."""
    return ", ".join(repr(name) for name in names) or "none"


def named_language(name: str) -> str | None:
    """Return the FLORES-200 language of a column name that is a language code or an English language name.

    Two-letter regions are not accepted: ``en_id`` and ``sw-id`` are columns of identifiers, not English and Swahili in
    Indonesia.

    Returns:
        A FLORES code, or ``None``.

    Example:
        >>> named_language("en"), named_language("zho_Hant"), named_language("en_id")
        ('eng_Latn', 'zho_Hant', None)
    """
    found = find_language(name)
    subtags = re.split(r"[_-]", name.strip())
    plain = len(subtags) == 1 or (len(subtags) == 2 and len(subtags[1]) == 4) or " " in name.strip()
    return found if found is None or plain or len(subtags[0]) > 3 else None


def names_language(name: str, language: str | None) -> bool:
    """Return whether a name is a code of a language, which may be one that FLORES-200 lacks.

    Args:
        name: Name of a column.
        language: FLORES code of the language, or ``None`` for any language.

    Example:
        >>> names_language("pcm", "pcm_Latn"), names_language("sr_Latn", "srp_Latn"), names_language("the", None)
        (True, True, False)
    """
    if language is not None and name.strip().casefold().replace("-", "_") in _codes(language):
        return True
    if not re.fullmatch(r"[A-Za-z]{2,3}(?:[_-][A-Za-z]{4})?", name.strip()):
        return False
    try:
        found = normalize(name)
    except UnknownLanguageError:
        return False
    return found == language or language is None


def _codes(language: str) -> set[str]:
    return {language.casefold(), f"{language[:3]}_{script_of(language)}".casefold()}


def text_language(name: str) -> str | None:
    """Return the FLORES-200 language of a column name like ``text_sw``, which has a word for text and a language.

    Returns:
        A FLORES code, or ``None``.

    Example:
        >>> text_language("text_sw"), text_language("question_en"), text_language("sw_id")
        ('swh_Latn', 'eng_Latn', None)
    """
    words = [word for word in re.split(r"[_.\- ]+", name) if word]
    kept = [word for word in words if word.casefold() not in _TEXT_WORDS]
    found = named_language("_".join(kept)) if kept and len(kept) < len(words) else None
    if found is None and len(words) > 1 and words[-1].casefold() in ("en", "eng", "english"):
        return ENGLISH
    return found


def is_column_name(cell: str) -> bool:
    """Return whether a cell looks like the name of a column and not like a text."""
    folded = cell.strip().casefold().replace(" ", "_")
    generic = folded in GENERIC_ENGLISH or folded in GENERIC_OTHER or folded in PLACEHOLDERS or folded in ABOUT
    return generic or named_language(cell) is not None or text_language(cell) is not None
