"""Grammar of Tagalog sentences.

The verb comes first, each noun phrase follows its marker, and modifiers are joined to nouns by a linker.
"""

from __future__ import annotations

from hf_optical.commands.sample.facts import Fact, Question, Word

_UNMARKED_TIMES = ("kahapon", "ngayon")


def statement(fact: Fact) -> list[Word]:
    """Write a fact as a sentence."""
    if fact.verb is None:
        return [Word("may", "exist"), *_object_phrase(fact), *_place(fact)]
    return [_verb(fact), *_subject(fact, "ang"), *_object(fact), *_place(fact), *_time(fact)]


def question(asking: Question) -> list[Word]:
    """Write a question about one part of a fact; a question about the object has the verb in object focus."""
    known = asking.known
    assert known.verb is not None
    rest = [*_object(known), *_place(known), *_time(known)]
    if asking.asked == "subject":
        return [Word("sino", "asked"), Word("ang"), _verb(known), *rest]
    if asking.asked == "object":
        verb = Word(known.verb.tagalog_object_focus, "verb")
        return [Word("ano", "asked"), Word("ang"), verb, *_subject(known, "ng"), *rest]
    word = Word("saan" if asking.asked == "place" else "kailan", "asked")
    return [word, _verb(known), *_subject(known, "ang"), *rest]


def link(text: str, role: str) -> list[Word]:
    """Write a modifier with the linker that joins it to the next word.

    Example:
        >>> [word.text for word in link("malaki", "object.quality") + link("itim", "object.quality")]
        ['malaking', 'itim', 'na']
    """
    if text[-1] in "aeiou":
        return [Word(text + "ng", role)]
    if text[-1] == "n":
        return [Word(text + "g", role)]
    return [Word(text, role), Word("na")]


def _verb(fact: Fact) -> Word:
    assert fact.verb is not None
    return Word(fact.verb.tagalog, "verb")


def _subject(fact: Fact, marker: str) -> list[Word]:
    assert fact.subject is not None
    words = [Word(marker, "subject.the")]
    if fact.subject_quality:
        words += link(fact.subject_quality.tagalog, "subject.quality")
    if fact.name:
        return [*words, *link(fact.subject.tagalog, "subject"), Word("si"), Word(fact.name.tagalog, "name")]
    return [*words, Word(fact.subject.tagalog, "subject")]


def _object_phrase(fact: Fact) -> list[Word]:
    assert fact.object is not None
    words = link(fact.number.tagalog, "object.number") if fact.number else []
    if fact.object_quality:
        words += link(fact.object_quality.tagalog, "object.quality")
    return [*words, Word(fact.object.tagalog, "object")]


def _object(fact: Fact) -> list[Word]:
    return [Word("ng", "object.a"), *_object_phrase(fact)] if fact.object else []


def _place(fact: Fact) -> list[Word]:
    return [Word("sa", "place.in"), Word(fact.place.tagalog, "place")] if fact.place else []


def _time(fact: Fact) -> list[Word]:
    if fact.time is None:
        return []
    *last, noun = fact.time.tagalog.split()
    if noun in _UNMARKED_TIMES:
        return [Word(noun, "time")]
    qualified = [Word(text, "time.last") for text in last]
    return [Word("noong", "time.on"), *qualified, Word(noun, "time")]
