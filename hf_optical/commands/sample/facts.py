"""Language-independent meaning of the sentences of the sample data."""

from __future__ import annotations

from dataclasses import dataclass, fields
from random import Random
from typing import Any, Literal, NamedTuple, TypeVar

from hf_optical.commands.sample.lexicon import Adjective, Lexicon, Name, Numeral, Object, Person, Place, Time, Verb

T = TypeVar("T")
_Slot = Literal["subject", "object", "place", "time"]


class Word(NamedTuple):
    """Word of a sentence with its role; words with the same role are translations of each other."""

    text: str
    role: str | None = None


@dataclass(frozen=True)
class Fact:
    """Meaning of a sentence: who did what to what, where and when; or, without a subject, what there is at a place."""

    subject: Person | None = None
    name: Name | None = None
    subject_quality: Adjective | None = None
    verb: Verb | None = None
    object: Object | None = None
    number: Numeral | None = None
    object_quality: Adjective | None = None
    place: Place | None = None
    time: Time | None = None

    @property
    def core(self) -> tuple[Any, ...]:
        """Main content, which no two splits share; facts with equal cores differ in adjectives and numbers only."""
        return (self.subject, self.verb, self.object, self.place, self.time)


@dataclass(frozen=True)
class Question:
    """Question about one part of a fact: "Who ...?", "What ...?", "Where ...?" or "When ...?"."""

    fact: Fact
    asked: _Slot

    @property
    def known(self) -> Fact:
        """The fact without the part that the question asks for."""
        hidden: dict[_Slot, tuple[str, ...]] = {
            "subject": ("subject", "name", "subject_quality"),
            "object": ("object", "number", "object_quality"),
            "place": ("place",),
            "time": ("time",),
        }
        kept = {field.name: getattr(self.fact, field.name) for field in fields(Fact)}
        return Fact(**{name: value for name, value in kept.items() if name not in hidden[self.asked]})

    def answered_by(self, fact: Fact) -> bool:
        """Return whether a fact has all that the question states, and the part that it asks for.

        Example:
            >>> from random import Random
            >>> from hf_optical.commands.sample.lexicon import lexicon
            >>> fact = draw_event(Random(0), lexicon())
            >>> Question(fact, "subject").answered_by(fact)
            True
        """
        if fact.verb is not self.fact.verb or getattr(fact, self.asked) is None:
            return False
        known = self.known
        told = ((getattr(known, field.name), getattr(fact, field.name)) for field in fields(Fact))
        return all(said is None or said == held for said, held in told)


def _maybe(random: Random, probability: float, choices: tuple[T, ...]) -> T | None:
    return random.choice(choices) if random.random() < probability else None


def draw_event(random: Random, words: Lexicon, subject: Person | None = None, name: Name | None = None) -> Fact:
    """Draw an event. Most events have a place and a time, and some objects have a number or an adjective.

    Args:
        random: Random generator.
        words: Words to draw from.
        subject: Subject of the event; drawn by default.
        name: Name of the subject; a subject with a name has no adjective.
    """
    verb = random.choice(words.verbs)
    thing = number = quality = None
    if verb.transitive:
        thing = random.choice([each for each in words.objects if each.kind in verb.objects.split()])
        number = _maybe(random, 0.4, words.numerals)
        quality = _maybe(random, 0.4, tuple(each for each in words.adjectives if thing.kind in each.describes.split()))
    place = _maybe(random, 0.85, words.places)
    time = _maybe(random, 0.85, words.times) if place else random.choice(words.times)
    return Fact(
        subject=subject or random.choice(words.persons),
        name=name,
        subject_quality=None if name else _maybe(random, 0.25, _qualities_of_persons(words)),
        verb=verb,
        object=thing,
        number=number,
        object_quality=quality,
        place=place,
        time=time,
    )


def draw_existence(random: Random, words: Lexicon) -> Fact:
    """Draw a statement of what there is at a place."""
    thing = random.choice(words.objects)
    fitting = tuple(each for each in words.adjectives if thing.kind in each.describes.split())
    return Fact(
        object=thing,
        number=_maybe(random, 0.7, words.numerals),
        object_quality=_maybe(random, 0.4, fitting),
        place=random.choice(words.places),
    )


def draw_question(random: Random, fact: Fact) -> Question:
    """Draw a question about one of the parts that an event has."""
    slots: tuple[_Slot, ...] = ("subject", "object", "place", "time")
    return Question(fact, random.choice([slot for slot in slots if getattr(fact, slot) is not None]))


def _qualities_of_persons(words: Lexicon) -> tuple[Adjective, ...]:
    return tuple(each for each in words.adjectives if "person" in each.describes.split())
