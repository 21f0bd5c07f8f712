"""Grammar of Marathi sentences, with the verb last.

In the past tense a transitive verb agrees with its object, and its subject takes the agent's case.
"""

from __future__ import annotations

from hf_optical.commands.sample.facts import Fact, Question, Word

# Endings of singular and plural by gender (masculine, feminine, neuter; "p" is the plural of respect).
_ADJECTIVE = {"m": ("ा", "े"), "f": ("ी", "्या"), "n": ("े", "ी"), "p": ("े", "े")}
_PAST = {"m": ("ला", "ले"), "f": ("ली", "ल्या"), "n": ("ले", "ली"), "p": ("ले", "ले")}
_OBLIQUE = "्या"
_ASKING = {"object": "काय", "place": "कुठे", "time": "कधी"}


def statement(fact: Fact) -> list[Word]:
    """Write a fact as a sentence."""
    if fact.verb is None:
        return [*_place(fact), *_object(fact), Word("आहेत" if fact.number else "आहे", "exist")]
    return [*_subject(fact), *_time(fact), *_place(fact), *_object(fact), *_verb(fact)]


def question(asking: Question) -> list[Word]:
    """Write a question about one part of a fact; the question word stands before the verb."""
    known = asking.known
    assert known.verb is not None
    who = "कोणी" if known.verb.transitive else "कोण"
    word = _ASKING.get(asking.asked, who)
    rest = [*_time(known), *_place(known), *_object(known), Word(word, "asked"), *_verb(known)]
    return rest if known.subject is None else [*_subject(known), *rest]


def _inflect(stem: str, ending: str) -> str:
    """Add an ending to the stem of an adjective; an adjective without a hyphen does not change.

    Example:
        >>> _inflect("मोठ-", "ा"), _inflect("पांढर-", "्या"), _inflect("लाल", "्या")
        ('मोठा', 'पांढऱ्या', 'लाल')
    """
    if not stem.endswith("-"):
        return stem
    # The letter r before y is written in its eyelash form.
    form = stem[:-1] + ending
    return form.replace("र्या", "ऱ्या")


def _subject(fact: Fact) -> list[Word]:
    assert fact.subject is not None
    assert fact.verb is not None
    person, agent = fact.subject, fact.verb.transitive
    words = []
    if fact.subject_quality:
        ending = _OBLIQUE if agent else _ADJECTIVE[person.marathi_gender][0]
        words.append(Word(_inflect(fact.subject_quality.marathi, ending), "subject.quality"))
    if fact.name:
        name = fact.name.marathi + ("ने" if agent else "")
        return [*words, Word(person.marathi, "subject"), Word(name, "name")]
    return [*words, Word(person.marathi_agent if agent else person.marathi, "subject")]


def _object(fact: Fact) -> list[Word]:
    if fact.object is None:
        return []
    several = fact.number is not None
    words = [Word(fact.number.marathi, "object.number")] if fact.number else []
    if fact.object_quality:
        ending = _ADJECTIVE[fact.object.marathi_gender][several]
        words.append(Word(_inflect(fact.object_quality.marathi, ending), "object.quality"))
    return [*words, Word(fact.object.marathi_plural if several else fact.object.marathi, "object")]


def _place(fact: Fact) -> list[Word]:
    return [Word(fact.place.marathi, "place")] if fact.place else []


def _time(fact: Fact) -> list[Word]:
    if fact.time is None:
        return []
    *last, noun = fact.time.marathi.split()
    return [*(Word(text, "time.last") for text in last), Word(noun, "time")]


def _verb(fact: Fact) -> list[Word]:
    """Inflect the perfective participle; without a noun to agree with it is neuter ("what") or masculine ("who")."""
    assert fact.verb is not None
    if not fact.verb.transitive:
        gender, several = (fact.subject.marathi_gender if fact.subject else "m"), False
    elif fact.object:
        gender, several = fact.object.marathi_gender, fact.number is not None
    else:
        gender, several = "n", False
    *before, stem = fact.verb.marathi.split()
    return [*(Word(text, "verb") for text in before), Word(stem + _PAST[gender][several], "verb")]
