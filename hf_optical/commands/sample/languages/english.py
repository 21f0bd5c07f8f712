"""Grammar of English sentences, with the order subject, verb, object, place, time."""

from __future__ import annotations

from hf_optical.commands.sample.facts import Fact, Question, Word

_ASKING = {"subject": "Who", "object": "What", "place": "Where", "time": "When"}


def statement(fact: Fact) -> list[Word]:
    """Write a fact as a sentence."""
    if fact.verb is None:
        verb = Word("are" if fact.number else "is", "exist")
        return [Word("There", "exist"), verb, *_object(fact), *_place(fact)]
    return [*_subject(fact), Word(fact.verb.english_past, "verb"), *_object(fact), *_place(fact), *_time(fact)]


def question(asking: Question) -> list[Word]:
    """Write a question about one part of a fact."""
    known = asking.known
    assert known.verb is not None
    rest = [*_object(known), *_place(known), *_time(known)]
    word = Word(_ASKING[asking.asked], "asked")
    if asking.asked == "subject":
        return [word, Word(known.verb.english_past, "verb"), *rest]
    return [word, Word("did"), *_subject(known), Word(known.verb.english, "verb"), *rest]


def _subject(fact: Fact) -> list[Word]:
    assert fact.subject is not None
    words = [Word("the", "subject.the")]
    if fact.subject_quality:
        words.append(Word(fact.subject_quality.english, "subject.quality"))
    words.append(Word(fact.subject.english, "subject"))
    if fact.name:
        words.append(Word(fact.name.english, "name"))
    return words


def _object(fact: Fact) -> list[Word]:
    if fact.object is None:
        return []
    quality = [Word(fact.object_quality.english, "object.quality")] if fact.object_quality else []
    if fact.number:
        return [Word(fact.number.english, "object.number"), *quality, Word(fact.object.english_plural, "object")]
    following = quality[0].text if quality else fact.object.english
    article = "an" if following[0] in "aeiou" else "a"
    return [Word(article, "object.a"), *quality, Word(fact.object.english, "object")]


def _place(fact: Fact) -> list[Word]:
    if fact.place is None:
        return []
    return [Word(fact.place.preposition, "place.in"), Word("the"), Word(fact.place.english, "place")]


def _time(fact: Fact) -> list[Word]:
    if fact.time is None:
        return []
    roles = {"last": "time.last", "the": None}
    before = [Word(text, roles.get(text, "time.on")) for text in fact.time.preposition.split()]
    return [*before, Word(fact.time.english, "time")]
