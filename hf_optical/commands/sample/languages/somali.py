"""Grammar of Somali sentences, with focus on the subject, the verb last, and articles as endings of the noun."""

from __future__ import annotations

from hf_optical.commands.sample.facts import Fact, Question, Word

# Question words with the pronoun of a masculine and of a feminine subject.
_ASKING = {"object": ("muxuu", "maxay"), "place": ("xaggee buu", "xaggee bay"), "time": ("goorma ayuu", "goorma ayay")}


def statement(fact: Fact) -> list[Word]:
    """Write a fact as a sentence."""
    if fact.verb is None:
        assert fact.object is not None
        there = "jooga" if fact.object.kind == "animal" else "yaalla"
        return [*_place(fact), Word("waxaa", "exist"), Word(there, "exist"), *_object(fact)]
    return [*_subject(fact), Word("ayaa"), *_time(fact), *_object(fact), *_place(fact), *_verb(fact)]


def question(asking: Question) -> list[Word]:
    """Write a question about one part of a fact."""
    known = asking.known
    rest = [*_time(known), *_object(known), *_place(known), *_verb(known)]
    if asking.asked == "subject":
        return [Word("yaa", "asked"), *rest]
    assert known.subject is not None
    masculine, feminine = _ASKING[asking.asked]
    pronoun = feminine if known.subject.somali_gender == "f" else masculine
    word, *focus = pronoun.split()
    return [*_subject(known, nominative=True), Word(word, "asked"), *map(Word, focus), *rest]


def _subject(fact: Fact, nominative: bool = False) -> list[Word]:
    """Write the subject; without focus its last word is in the nominative, with the article -u or an adjective's -i."""
    assert fact.subject is not None
    noun = fact.subject.somali
    if fact.name:
        return [Word(noun, "subject"), Word(fact.name.somali, "name")]
    if fact.subject_quality:
        quality = fact.subject_quality.somali
        return [Word(noun, "subject"), Word(quality + "i" if nominative else quality, "subject.quality")]
    return [Word(noun[:-1] + "u" if nominative else noun, "subject")]


def _object(fact: Fact) -> list[Word]:
    if fact.object is None:
        return []
    quality = (
        [Word(text, "object.quality") for text in fact.object_quality.somali.split()] if fact.object_quality else []
    )
    if not fact.number:
        return [Word(fact.object.somali, "object"), *quality]
    # The numeral heads its phrase, so an adjective needs the conjunction "oo".
    counted = [Word(fact.number.somali, "object.number"), Word(fact.object.somali_counted, "object")]
    return [*counted, Word("oo"), *quality] if quality else counted


def _place(fact: Fact) -> list[Word]:
    return [Word(fact.place.somali, "place")] if fact.place else []


def _time(fact: Fact) -> list[Word]:
    if fact.time is None:
        return []
    noun, *last = fact.time.somali.split()
    return [Word(noun, "time"), *(Word(text, "time.last") for text in last)]


def _verb(fact: Fact) -> list[Word]:
    assert fact.verb is not None
    feminine = fact.subject is not None and fact.subject.somali_gender == "f"
    form = fact.verb.somali_feminine if feminine else fact.verb.somali
    particle = [Word("ku", "place.in")] if fact.place else []
    return [*particle, *(Word(text, "verb") for text in form.split())]
