"""Choice of the English column and the column of the other language, by names and by content.

An explicit name always wins. Otherwise columns named after a language are preferred over generic names, because the
name ``source`` means "English" in some files and "the corpus this row is from" in others: where ``en`` and ``xx``
exist, ``source`` is not looked at. Of all columns, only those that hold text come into question where a sample of rows
is at hand: ``id`` is a column of identifiers, whatever the code of Indonesian is. Two columns of text with names that
say nothing are taken if one of them reads as English and the other does not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hf_optical.data.column_content import SAMPLED, Content, contents
from hf_optical.data.column_names import (
    ABOUT,
    GENERIC_ENGLISH,
    GENERIC_OTHER,
    PLACEHOLDERS,
    listed,
    named_language,
    names_language,
    text_language,
)
from hf_optical.data.languages import ENGLISH, normalize
from hf_optical.data.swapped import english_side
from hf_optical.errors import InputError

__all__ = ["Columns", "choose_columns"]

_REMEDY = "name them with --source_field and --translation_field"
_FEWEST = 3  # rows of codes from which a column is refused; fewer may be chance
_SAID: dict[Content, str] = {"codes": "codes", "numbers": "numbers", "values": "no text", "nothing": "nothing"}

Contents = Mapping[str, tuple[Content, str]]


@dataclass(frozen=True)
class Columns:
    """The chosen pair of columns.

    Attributes:
        source: The English column.
        translation: The other.
        guessed: Whether one of them was not named by the caller.
        left: The columns that were not taken, with what they hold where it is no text.
    """

    source: str
    translation: str
    guessed: bool
    left: tuple[str, ...] = field(default=(), compare=False)

    def said(self) -> str:
        """Describe for the terminal which columns were used and which were not.

        Example:
            >>> Columns("en", "xx", True, ("'id' (codes)",)).said()
            "read 'en' as English and 'xx' as its translation; left 'id' (codes)"
        """
        rest = f"; left {', '.join(self.left)}" if self.left else ""
        return f"read {self.source!r} as English and {self.translation!r} as its translation{rest}"


def choose_columns(
    columns: Sequence[str],
    *,
    rows: Sequence[Mapping[str, Any]] = (),
    source_field: str | None = None,
    translation_field: str | None = None,
    language: str | None = None,
    path: str | Path | None = None,
) -> Columns:
    """Choose the English column and the column of its translation.

    Args:
        columns: The names found.
        rows: Some rows, to see what the columns hold; without them names alone decide.
        source_field: The English column, if the caller says so.
        translation_field: The other column, if the caller says so.
        language: FLORES code of the wanted language; its codes and name are then recognised before all others.
        path: The file, for messages.

    Returns:
        The two names.

    Raises:
        InputError: If a named column is missing, or a guess finds none, several, or one that holds identifiers or
            numbers; lists the columns found.

    Example:
        >>> choose_columns(["id", "lang", "en", "xx", "source", "license"])
        Columns(source='en', translation='xx', guessed=True, left=("'id'", "'lang'", "'source'", "'license'"))
        >>> choose_columns(["id", "en", "xx"], rows=[{"id": "t-7", "en": "Hi", "xx": "Hai"}], language="id").translation
        'xx'
    """
    for option, name in (("source_field", source_field), ("translation_field", translation_field)):
        if name is not None and name not in columns:
            raise InputError(
                f"no such column (found {listed(columns)})", f"set {option} to one of them", path=path, field=name
            )
    held = contents(columns, rows[:SAMPLED]) if rows else {}
    others = [name for name in columns if name not in (source_field, translation_field)]
    if source_field is None and translation_field is None and not _by_name(others, held, language):
        found = _by_words(columns, rows[:SAMPLED], held)
        if found is not None:
            return Columns(*found, guessed=True, left=_left(columns, found, held))
    source = source_field or _one("English", _english_tiers(others), columns, path, held, len(rows))
    if translation_field is None:
        others = [name for name in others if name != source]
        tiers = _other_tiers(others, source, language)
        translation = _one("translation", tiers, columns, path, held, len(rows))
    else:
        translation = translation_field
    if source == translation:
        raise InputError("one column cannot be both sides", f"give two: {_REMEDY}", path=path, field=source)
    guessed = source_field is None or translation_field is None
    return Columns(source, translation, guessed, left=_left(columns, (source, translation), held))


def _by_name(columns: Sequence[str], held: Contents, language: str | None) -> bool:
    """Whether the name of a column of text says a side; that it is a rare language's code too says little."""
    texts = [name for name in columns if not held or held[name][0] == "text"]
    return any(any(tier) for tier in (*_english_tiers(texts), *_other_tiers(texts, "", language)[:-1]))


def _by_words(columns: Sequence[str], rows: Sequence[Mapping[str, Any]], held: Contents) -> tuple[str, str] | None:
    texts = [name for name in columns if held and held[name][0] == "text"]
    several = [name for name in texts if len({str(row.get(name)) for row in rows}) > 1]
    if len(several) != 2:
        return None
    left, right = several
    pairs = [
        (row[left], row[right]) for row in rows if isinstance(row.get(left), str) and isinstance(row.get(right), str)
    ]
    side = english_side(pairs)
    return None if side is None else (left, right) if side == 0 else (right, left)


def _left(columns: Sequence[str], taken: tuple[str, str], held: Contents) -> tuple[str, ...]:
    def shown(name: str) -> str:
        what = _SAID.get(held[name][0]) if name in held else None
        return f"{name!r} ({what})" if what else repr(name)

    return tuple(shown(name) for name in columns if name not in taken)


def _one(
    side: str, tiers: Sequence[list[str]], columns: Sequence[str], path: str | Path | None, held: Contents, rows: int
) -> str:
    texts = [[name for name in tier if not held or held[name][0] == "text"] for tier in tiers]
    best = next((tier for tier in texts if tier), [])
    if len(best) == 1:
        return best[0]
    if best:
        problem = f"several columns may hold the {side} text: {listed(best)}"
        raise InputError(f"{problem} (columns found: {listed(columns)})", _REMEDY, path=path)
    named = next((tier for tier in tiers if tier), [])
    if len(named) == 1 and (rows < _FEWEST or held[named[0]][0] in ("values", "nothing")):
        return named[0]  # the first row says what is wrong with it
    if named:
        what, example = held[named[0]]
        raise InputError(
            f"the column of the {side} text holds {_SAID[what]} (such as {example}); columns found: {listed(columns)}",
            f"where these are the texts, or another column is meant, {_REMEDY}",
            path=path,
            field=named[0],
        )
    problem = f"no column looks like the {side} text"
    raise InputError(f"{problem} (columns found: {listed(columns)})", _REMEDY, path=path)


def _english_tiers(columns: Sequence[str]) -> list[list[str]]:
    return [
        [name for name in columns if named_language(name) == ENGLISH],
        [name for name in columns if text_language(name) == ENGLISH],
        _first_generic(columns, GENERIC_ENGLISH),
    ]


def _other_tiers(columns: Sequence[str], source: str, language: str | None) -> list[list[str]]:
    wanted = normalize(language) if language else None

    def fits(found: str | None) -> bool:
        return found == wanted if wanted else found not in (None, ENGLISH)

    if wanted:
        exact = [name for name in columns if fits(named_language(name)) or names_language(name, wanted)]
    else:
        exact = [name for name in columns if fits(named_language(name)) and name.casefold() not in ABOUT]
    placeholders = [name for name in columns if name.casefold() in PLACEHOLDERS]
    # ``question`` beside ``question_en``, ``text`` beside ``text_en``.
    stem = re.sub(r"[_.\- ](en|eng|english|eng_Latn)$", "", source, flags=re.IGNORECASE)
    rare = [] if wanted else [n for n in columns if names_language(n, None) and not names_language(n, ENGLISH)]
    return [
        exact if wanted else exact + placeholders,
        placeholders,
        [name for name in columns if fits(text_language(name))],
        _first_generic(columns, GENERIC_OTHER),
        [name for name in columns if name == stem != source],
        [name for name in rare if name.casefold() not in ABOUT],
    ]


def _first_generic(columns: Sequence[str], generic: Sequence[str]) -> list[str]:
    folded = {name.casefold().replace(" ", "_"): name for name in columns}
    return [folded[name] for name in generic if name in folded][:1]
