"""Which column of a table holds English, and which the other language.

An explicit name always wins. Otherwise columns named after a language are preferred over generic names, because the
name ``source`` means "English" in some files and "the corpus this row is from" in others: where ``en`` and ``xx``
exist, ``source`` is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hf_optical.data.languages import ENGLISH, find_language, normalize
from hf_optical.errors import InputError

__all__ = ["Columns", "choose_columns", "is_header"]

_GENERIC_ENGLISH = ("source", "src", "source_text", "source_sentence", "sentence1", "text1", "original")
_GENERIC_OTHER = (
    "translation", "target", "tgt", "target_text", "target_sentence", "translated_text", "translated", "sentence2",
    "text2",
)  # fmt: skip
_PLACEHOLDERS = ("xx", "text_xx", "xx_text", "sentence_xx", "translation_xx", "translation.xx", "non_english")
# Words that, beside a language code, make a column of text: ``text_sw``, ``sentence_swh_Latn``, ``translation.sw``.
_TEXT_WORDS = frozenset(
    {"text", "sentence", "sent", "translation", "source", "src", "target", "tgt", "content", "segment", "string"}
)
# Columns that are about the row. "id" is also the ISO 639-1 code of Indonesian.
_ABOUT = frozenset(
    {"id", "_id", "lang", "language", "corpus", "domain", "license", "licence", "doc", "kind", "note", "score", "split"}
)
_OPTIONS = "source_field and translation_field"


@dataclass(frozen=True)
class Columns:
    """The chosen pair of columns, and whether they were guessed."""

    source: str
    translation: str
    guessed: bool


def choose_columns(
    columns: Sequence[str],
    *,
    source_field: str | None = None,
    translation_field: str | None = None,
    language: str | None = None,
    path: str | Path | None = None,
) -> Columns:
    """Choose the English column and the column of its translation.

    Args:
        columns: The names found.
        source_field: The English column, if the caller says so.
        translation_field: The other column, if the caller says so.
        language: FLORES code of the wanted language; its codes and name are then recognised before all others.
        path: The file, for messages.

    Returns:
        The two names.

    Raises:
        InputError: If a named column is missing, or a guess finds none or several; lists the columns found.

    Example:
        >>> choose_columns(["id", "lang", "en", "xx", "source", "license"])
        Columns(source='en', translation='xx', guessed=True)
    """
    for option, name in (("source_field", source_field), ("translation_field", translation_field)):
        if name is not None and name not in columns:
            raise InputError(
                f"no such column (found {_listed(columns)})", f"set {option} to one of them", path=path, field=name
            )
    others = [name for name in columns if name not in (source_field, translation_field)]
    source = source_field or _one("English", _english_tiers(others), columns, path)
    if translation_field is None:
        others = [name for name in others if name != source]
        translation = _one("translation", _other_tiers(others, source, language), columns, path)
    else:
        translation = translation_field
    if source == translation:
        raise InputError(
            "one column cannot be both sides", f"name two columns with {_OPTIONS}", path=path, field=source
        )
    return Columns(source, translation, guessed=source_field is None or translation_field is None)


def _one(side: str, tiers: Sequence[list[str]], columns: Sequence[str], path: str | Path | None) -> str:
    best = next((tier for tier in tiers if tier), [])
    if len(best) == 1:
        return best[0]
    problem = (
        f"several columns may hold the {side} text: {_listed(best)}"
        if best
        else f"no column looks like the {side} text"
    )
    raise InputError(f"{problem} (columns found: {_listed(columns)})", f"name them with {_OPTIONS}", path=path)


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(repr(name) for name in columns) or "none"


def _english_tiers(columns: Sequence[str]) -> list[list[str]]:
    return [
        [name for name in columns if find_language(name) == ENGLISH],
        [name for name in columns if _text_language(name) == ENGLISH],
        _first_generic(columns, _GENERIC_ENGLISH),
    ]


def _other_tiers(columns: Sequence[str], source: str, language: str | None) -> list[list[str]]:
    wanted = normalize(language) if language else None

    def fits(found: str | None) -> bool:
        return found == wanted if wanted else found not in (None, ENGLISH)

    exact = [name for name in columns if fits(find_language(name)) and (wanted or name.casefold() not in _ABOUT)]
    placeholders = [name for name in columns if name.casefold() in _PLACEHOLDERS]
    # ``question`` beside ``question_en``, ``text`` beside ``text_en``.
    stem = re.sub(r"[_.\- ](en|eng|english|eng_Latn)$", "", source, flags=re.IGNORECASE)
    return [
        exact if wanted else exact + placeholders,
        placeholders,
        [name for name in columns if fits(_text_language(name))],
        _first_generic(columns, _GENERIC_OTHER),
        [name for name in columns if name == stem != source],
    ]


def _first_generic(columns: Sequence[str], generic: Sequence[str]) -> list[str]:
    folded = {name.casefold().replace(" ", "_"): name for name in columns}
    return [folded[name] for name in generic if name in folded][:1]


def _text_language(name: str) -> str | None:
    """The language of a name like ``text_sw``: one word of text, the rest a language."""
    words = [word for word in re.split(r"[_.\- ]+", name) if word]
    kept = [word for word in words if word.casefold() not in _TEXT_WORDS]
    found = find_language("_".join(kept)) if kept and len(kept) < len(words) else None
    if found is None and len(words) > 1 and words[-1].casefold() in ("en", "eng", "english"):
        return ENGLISH
    return found


def _is_name(cell: str) -> bool:
    folded = cell.strip().casefold().replace(" ", "_")
    generic = folded in _GENERIC_ENGLISH or folded in _GENERIC_OTHER or folded in _PLACEHOLDERS or folded in _ABOUT
    return generic or find_language(cell) is not None or _text_language(cell) is not None


def is_header(cells: Sequence[str], *, path: str | Path | None = None) -> bool:
    """Whether the first row of a TSV or CSV holds names rather than a pair of texts.

    Args:
        cells: The first row.
        path: The file, for messages.

    Returns:
        True for any row that has not exactly two cells (such a file needs names), or whose two cells are names of
        columns; False for a pair of which neither cell is.

    Raises:
        InputError: If one of two cells is the name of a column and the other is not: either reading would be a guess.

    Example:
        >>> is_header(["english", "swahili"]), is_header(["Good morning", "Habari ya asubuhi"])
        (True, False)
    """
    if len(cells) != 2:
        return True
    named = [_is_name(cell) for cell in cells]
    if any(named) and not all(named):
        raise InputError(
            f"the first row ({_listed(cells)}) may be a header or a pair",
            f"name the columns with {_OPTIONS}: by name where it is a header, '1' and '2' where it is a pair",
            path=path,
            row=1,
        )
    return all(named)
