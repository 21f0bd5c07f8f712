"""Words of the sample data: concepts in five languages, read from the tables in `words/`.

Every row of a table is one concept, and every column is the form that the grammar of one language needs. The words were
written for this project and come from no data set.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from hf_optical.errors import InputError

WORDS = Path(__file__).parent / "words"


@dataclass(frozen=True)
class Person:
    """Person who acts. Somali forms are definite; `marathi_agent` is the case of the subject of a transitive verb."""

    english: str
    swahili: str
    somali: str
    somali_gender: str
    tagalog: str
    marathi: str
    marathi_agent: str
    marathi_gender: str


@dataclass(frozen=True)
class Object:
    """Object of an action: an animal, food or thing. `somali_counted` is the form after a numeral."""

    kind: str
    english: str
    english_plural: str
    swahili: str
    swahili_plural: str
    swahili_class: str
    somali: str
    somali_counted: str
    tagalog: str
    marathi: str
    marathi_plural: str
    marathi_gender: str


@dataclass(frozen=True)
class Place:
    """Place; in Swahili and Marathi the word itself includes "at", "in" or "on"."""

    preposition: str
    english: str
    swahili: str
    somali: str
    tagalog: str
    marathi: str


@dataclass(frozen=True)
class Verb:
    """Action in the past. `objects` names the kinds of objects that fit; "none" marks an intransitive verb."""

    objects: str
    english: str
    english_past: str
    swahili: str
    somali: str
    somali_feminine: str
    tagalog: str
    tagalog_object_focus: str
    marathi: str

    @property
    def transitive(self) -> bool:
        """Whether the verb takes an object."""
        return self.objects != "none"


@dataclass(frozen=True)
class Adjective:
    """Quality; a hyphen marks a stem that agrees with its noun. `swahili_nasal` is the form in classes 9 and 10."""

    describes: str
    english: str
    swahili: str
    swahili_nasal: str
    somali: str
    tagalog: str
    marathi: str


@dataclass(frozen=True)
class Time:
    """Time expression; the English preposition is separate because only some languages have one."""

    preposition: str
    english: str
    swahili: str
    somali: str
    tagalog: str
    marathi: str


@dataclass(frozen=True)
class Numeral:
    """Number from two to ten."""

    english: str
    swahili: str
    swahili_nasal: str
    somali: str
    tagalog: str
    marathi: str


@dataclass(frozen=True)
class Name:
    """Invented personal name, in the spelling of each language."""

    english: str
    swahili: str
    somali: str
    tagalog: str
    marathi: str


_Concept = TypeVar("_Concept", Person, Object, Place, Verb, Adjective, Time, Numeral, Name)


def read_table(path: Path, concept: type[_Concept]) -> tuple[_Concept, ...]:
    """Read a table of words, which is tab-separated and has the fields of `concept` as its header.

    Args:
        path: The table.
        concept: Class of its rows.

    Raises:
        InputError: The columns are other ones, or a cell that must have a word is empty.

    Example:
        >>> read_table(WORDS / "numerals.tsv", Numeral)[0].swahili
        '-wili'
    """
    names = [field.name for field in fields(concept)]
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        if rows.fieldnames is None or list(rows.fieldnames) != names:
            raise InputError(f"the columns are {rows.fieldnames}", f"change them to {names}", path=path, row=1)
        return tuple(_concept(row, concept, names, path, number) for number, row in enumerate(rows, start=2))


def _concept(row: dict[str, Any], concept: type[_Concept], names: list[str], path: Path, number: int) -> _Concept:
    for name in names:
        if not row[name] and name != "preposition":
            raise InputError("the cell is empty", "write the word", path=path, row=number, field=name)
    return concept(**{name: row[name] for name in names})


@dataclass(frozen=True)
class Lexicon:
    """Words of all classes in all languages."""

    persons: tuple[Person, ...]
    objects: tuple[Object, ...]
    places: tuple[Place, ...]
    verbs: tuple[Verb, ...]
    adjectives: tuple[Adjective, ...]
    times: tuple[Time, ...]
    numerals: tuple[Numeral, ...]
    names: tuple[Name, ...]


@cache
def lexicon() -> Lexicon:
    """Return the tables of `words/`, which are read at the first call.

    Example:
        >>> sum(len(getattr(lexicon(), table.name)) for table in fields(Lexicon)) > 250
        True
    """
    return Lexicon(
        read_table(WORDS / "persons.tsv", Person),
        read_table(WORDS / "objects.tsv", Object),
        read_table(WORDS / "places.tsv", Place),
        read_table(WORDS / "verbs.tsv", Verb),
        read_table(WORDS / "adjectives.tsv", Adjective),
        read_table(WORDS / "times.tsv", Time),
        read_table(WORDS / "numerals.tsv", Numeral),
        read_table(WORDS / "names.tsv", Name),
    )
