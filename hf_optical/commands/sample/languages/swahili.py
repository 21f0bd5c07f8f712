"""Grammar of Swahili sentences.

Subject and tense are prefixes of the verb; adjectives and numerals follow the noun and agree with it.
"""

from __future__ import annotations

from hf_optical.commands.sample.facts import Fact, Question, Word
from hf_optical.commands.sample.lexicon import Time

# The plural of each singular noun class.
_PLURAL_CLASS = {"1": "2", "3": "4", "5": "6", "7": "8", "9": "10", "11": "10"}
_BEFORE_CONSONANT = {"1": "m", "2": "wa", "3": "m", "4": "mi", "5": "", "6": "ma", "7": "ki", "8": "vi", "11": "m"}
# Before e, the vowel a of a prefix is dropped, i becomes the glide y, and class 5 has the prefix j.
_BEFORE_E = {"1": "mw", "2": "w", "3": "mw", "4": "my", "5": "j", "6": "m", "7": "ch", "8": "vy", "11": "mw"}
_NEW = {"1": "mpya", "5": "jipya"}


def statement(fact: Fact) -> list[Word]:
    """Write a fact as a sentence."""
    if fact.verb is None:
        return [Word("kuna", "exist"), *_object(fact), *_place(fact)]
    return [*_subject(fact), _verb(fact), *_object(fact), *_place(fact), *_time(fact.time)]


def question(asking: Question) -> list[Word]:
    """Write a question about one part of a fact; the question word stands in the place of the answer."""
    known = asking.known
    parts = {
        "subject": _subject(known),
        "verb": [_verb(known)],
        "object": _object(known),
        "place": _place(known),
        "time": _time(known.time),
    }
    parts[asking.asked] = [
        Word({"subject": "nani", "object": "nini", "place": "wapi", "time": "lini"}[asking.asked], "asked")
    ]
    return [word for part in parts.values() for word in part]


def agree(stem: str, nasal: str, noun_class: str) -> str:
    """Form an adjective or numeral in agreement with a noun class.

    Args:
        stem: Stem with its hyphen, or a word that does not agree.
        nasal: Form in classes 9 and 10, in which the prefix is a nasal that changes or disappears.
        noun_class: Noun class, "1" to "11".

    Example:
        >>> agree("-kubwa", "kubwa", "7"), agree("-eupe", "nyeupe", "2"), agree("safi", "safi", "7")
        ('kikubwa', 'weupe', 'safi')
    """
    if not stem.startswith("-"):
        return stem
    if noun_class in ("9", "10"):
        return nasal
    if stem == "-pya" and noun_class in _NEW:
        return _NEW[noun_class]
    prefixes = _BEFORE_E if stem[1] == "e" else _BEFORE_CONSONANT
    return prefixes[noun_class] + stem[1:]


def _subject(fact: Fact) -> list[Word]:
    if fact.subject is None:
        return []
    words = [Word(fact.subject.swahili, "subject")]
    if fact.name:
        words.append(Word(fact.name.swahili, "name"))
    if fact.subject_quality:
        quality = fact.subject_quality
        words.append(Word(agree(quality.swahili, quality.swahili_nasal, "1"), "subject.quality"))
    return words


def _verb(fact: Fact) -> Word:
    assert fact.verb is not None
    return Word("ali" + fact.verb.swahili, "verb")


def _object(fact: Fact) -> list[Word]:
    if fact.object is None:
        return []
    noun_class = _PLURAL_CLASS[fact.object.swahili_class] if fact.number else fact.object.swahili_class
    words = [Word(fact.object.swahili_plural if fact.number else fact.object.swahili, "object")]
    if fact.object_quality:
        quality = fact.object_quality
        words.append(Word(agree(quality.swahili, quality.swahili_nasal, noun_class), "object.quality"))
    if fact.number:
        words.append(Word(agree(fact.number.swahili, fact.number.swahili_nasal, noun_class), "object.number"))
    return words


def _place(fact: Fact) -> list[Word]:
    return [Word(fact.place.swahili, "place")] if fact.place else []


def _time(time: Time | None) -> list[Word]:
    if time is None:
        return []
    noun, *last = time.swahili.split()
    return [Word(noun, "time"), *(Word(text, "time.last") for text in last)]
