"""Choice of the English column and the column of the other language, by names and by content.

A column that the caller names is always taken. Otherwise columns named after a language are preferred to generic names,
because ``source`` means "English" in some files and "the corpus of this row" in others: if there are columns ``en`` and
``xx``, ``source`` is ignored. If a sample of rows is given, only columns that hold text are considered, so that a
column of identifiers called ``id`` is not mistaken for Indonesian. Two columns of text whose names say nothing are
taken if one of them reads as English and the other does not.
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
from hf_optical.data.languages import ENGLISH, language_name, normalize
from hf_optical.data.swapped import english_side
from hf_optical.errors import InputError

__all__ = ["Columns", "choose_columns"]

_REMEDY = "name them with --source_field and --translation_field"
_FEWEST = 3  # least number of rows from which a column of codes is refused; fewer may be chance
_SAID: dict[Content, str] = {"codes": "codes", "numbers": "numbers", "values": "no text", "nothing": "nothing"}

Contents = Mapping[str, tuple[Content, str]]


@dataclass(frozen=True)
class Columns:
    """Chosen pair of columns.

    Attributes:
        source: The English column.
        translation: The column of the other language.
        guessed: Whether at least one of them was not named by the caller.
        left: The other columns, with the kind of their content if it is not text.
    """

    source: str
    translation: str
    guessed: bool
    left: tuple[str, ...] = field(default=(), compare=False)

    def said(self) -> str:
        """Describe in a sentence which columns were used and which were not.

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
        columns: All column names.
        rows: Some rows, to find out what the columns hold; without rows only the names are used.
        source_field: The English column, if the caller names it.
        translation_field: The column of the other language, if the caller names it.
        language: FLORES code of the wanted language, whose codes and name are then recognised before all others.
        path: The file, for messages.

    Returns:
        The two names.

    Raises:
        InputError: A named column is missing, or a guess finds no column, several columns, or one that holds
            identifiers or numbers; the message lists the columns.

    Example:
        >>> choose_columns(["id", "lang", "en", "xx", "source", "license"])
        Columns(source='en', translation='xx', guessed=True, left=("'id'", "'lang'", "'source'", "'license'"))
        >>> choose_columns(["id", "en", "xx"], rows=[{"id": "t-7", "en": "Hi", "xx": "Hai"}], language="id").translation
        'xx'
    """
    for option, name in (("source_field", source_field), ("translation_field", translation_field)):
        if name is not None and name not in columns:
            raise InputError(
                f"there is no such column (found {listed(columns)})",
                f"set {option} to one of them",
                path=path,
                field=name,
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
    """Return whether the name of a column of text tells its side; codes of rare languages do not count."""
    texts = [name for name in columns if not held or held[name][0] == "text"]
    return any(any(tier) for tier in (*_english_tiers(texts), *_other_tiers(texts, "", language)[:-1]))


def _by_words(columns: Sequence[str], rows: Sequence[Mapping[str, Any]], held: Contents) -> tuple[str, str] | None:
    """Return the English column and the other of exactly two columns of varying text, if only one reads as English."""
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
    """Describe the columns that were not taken."""

    def shown(name: str) -> str:
        what = _SAID.get(held[name][0]) if name in held else None
        return f"{name!r} ({what})" if what else repr(name)

    return tuple(shown(name) for name in columns if name not in taken)


def _one(
    side: str, tiers: Sequence[list[str]], columns: Sequence[str], path: str | Path | None, held: Contents, rows: int
) -> str:
    """Return the only column of text in the first non-empty tier.

    Args:
        side: Name of the side, for messages.
        tiers: Candidates, the most reliable first.
        columns: All column names, for messages.
        path: The file, for messages.
        held: Kind of content of each column; empty if it is not known.
        rows: Number of rows from which the content was determined.

    Raises:
        InputError: There is no candidate, there are several in one tier, or it does not hold text.
    """
    texts = [[name for name in tier if not held or held[name][0] == "text"] for tier in tiers]
    best = next((tier for tier in texts if tier), [])
    if len(best) == 1:
        return best[0]
    if best:
        problem = f"several columns may hold the {side} text: {listed(best)}"
        raise InputError(f"{problem} (columns found: {listed(columns)})", _REMEDY, path=path)
    named = next((tier for tier in tiers if tier), [])
    if len(named) == 1 and (rows < _FEWEST or held[named[0]][0] in ("values", "nothing")):
        return named[0]  # reading its first row gives the more precise message
    if named:
        what, example = held[named[0]]
        raise InputError(
            f"the column of the {side} text holds {_SAID[what]} (such as {example}); columns found: {listed(columns)}",
            f"if these are the texts, or another column is meant, {_REMEDY}",
            path=path,
            field=named[0],
        )
    problem = f"no column looks like the {side} text"
    remedy = _REMEDY
    others = {name: named_language(name) for name in columns if name.casefold() not in ABOUT}
    other = next((name for name, code in others.items() if code not in (None, ENGLISH)), None)
    if side == "translation" and other is not None:
        code = str(others[other])
        problem += f" in the language asked for; {other!r} names another one, {language_name(code)} ({code})"
        remedy = f"use --language {code} if that is meant; otherwise {_REMEDY}"
    raise InputError(f"{problem} (columns found: {listed(columns)})", remedy, path=path)


def _english_tiers(columns: Sequence[str]) -> list[list[str]]:
    """List candidates for the English column, the most reliable tier first."""
    return [
        [name for name in columns if named_language(name) == ENGLISH],
        [name for name in columns if text_language(name) == ENGLISH],
        _first_generic(columns, GENERIC_ENGLISH),
    ]


def _other_tiers(columns: Sequence[str], source: str, language: str | None) -> list[list[str]]:
    """List candidates for the column of the other language, the most reliable tier first."""
    wanted = normalize(language) if language else None

    def fits(found: str | None) -> bool:
        return found == wanted if wanted else found not in (None, ENGLISH)

    if wanted:
        exact = [name for name in columns if fits(named_language(name)) or names_language(name, wanted)]
    else:
        exact = [name for name in columns if fits(named_language(name)) and name.casefold() not in ABOUT]
    placeholders = [name for name in columns if name.casefold() in PLACEHOLDERS]
    # The stem is the counterpart of a tagged English column: ``question`` of ``question_en``, ``text`` of ``text_en``.
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
    """Return a list of the first generic name that is a column, or an empty list."""
    folded = {name.casefold().replace(" ", "_"): name for name in columns}
    return [folded[name] for name in generic if name in folded][:1]
