"""Accents and tone marks in a grown student: which ones its tokenizer keeps, and its texts typed without them.

A teacher that strips accents decomposes text (form D) and removes every mark. A student that keeps the marks of its
language does the same with all other marks. Text stays decomposed, so that a marked word still begins with the pieces
of its letters, and its marks are pieces of their own or part of learnt ones: no combination of letter and mark is
unknown, and an English word that the teacher has whole stays whole up to a mark that the language uses.
"""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from collections.abc import Iterable
from typing import Any, Literal

from tokenizers import Tokenizer

from hf_optical.errors import InputError

__all__ = [
    "KeepMarks",
    "check_keep_marks",
    "marks_of",
    "student_normalizer",
    "unmarked",
    "unmarked_copies",
    "without_stripping",
    "writes_vowels_as_marks",
]

KeepMarks = bool | Literal["auto"]
"""``"auto"`` decides by the texts' script; see `grow_student`."""

# Accents of Latin, Greek and Cyrillic letters, which a teacher may strip without a loss of letters.
_ACCENTS = ((0x0300, 0x036F), (0x1AB0, 0x1AFF), (0x1DC0, 0x1DFF), (0x20D0, 0x20FF), (0xFE20, 0xFE2F))
_SHARE = 0.0005  # share of a language's marks below which one is taken to come from foreign names
_NEW_VOCABULARIES = ("extend", "replace")


def check_keep_marks(keep_marks: KeepMarks, student: str) -> None:
    """Check that the option has one of its values, and that this student's tokenizer can follow it.

    Args:
        keep_marks: The option.
        student: ``"copy"``, ``"extend"``, ``"replace"``, or the id or folder of an encoder.

    Raises:
        InputError: The value is unknown, or the student gets no new pieces.

    Example:
        >>> check_keep_marks(True, "extend")
    """
    if not isinstance(keep_marks, bool) and keep_marks != "auto":
        raise InputError(f"is {keep_marks!r}", "use 'auto', true or false", field="keep_marks")
    if keep_marks != "auto" and student not in _NEW_VOCABULARIES:
        raise InputError(
            f"is {str(keep_marks).lower()}, but the student {student!r} learns no new pieces: its tokenizer treats "
            "marks as it always did",
            f"leave keep_marks out, or use one of {', '.join(_NEW_VOCABULARIES)} as the student",
            field="keep_marks",
        )


def student_normalizer(backend: Tokenizer, texts: Iterable[str], keep_marks: KeepMarks) -> dict[str, Any] | None:
    """Return the teacher's normalizer, changed so that it keeps the marks that the student is to read.

    Args:
        backend: The teacher's tokenizer.
        texts: Sentences of the new language, which are read up to twice.
        keep_marks: Whether to keep marks. ``"auto"`` keeps all marks if the texts' script writes vowels as marks, and
            otherwise none; true keeps in other scripts the marks that the language uses (`marks_of`).

    Returns:
        The ``normalizer`` entry of a tokenizer's JSON; the teacher's own if nothing is to be changed.
    """
    spec = json.loads(backend.to_str())["normalizer"]
    if keep_marks is False:
        return spec
    if writes_vowels_as_marks(texts):
        return without_stripping(spec)
    marks = marks_of(texts) if keep_marks is True and strips_accents(backend) else ""
    return _keeping(spec, marks) if marks else spec


def strips_accents(backend: Tokenizer) -> bool:
    """Return whether a tokenizer removes accents, as uncased BERT models do."""
    return backend.normalizer is not None and backend.normalizer.normalize_str("e\u0301").strip("▁ ") == "e"


def marks_of(texts: Iterable[str]) -> str:
    """Return the accents that a language uses, sorted: each one that is at least 0.05 % of the accents in its texts.

    Args:
        texts: Sentences.

    Returns:
        The combining characters. Foreign names bring further ones, which are rarer.

    Example:
        >>> [unicodedata.name(mark) for mark in marks_of(["ọkọ̀ ọkọ"])]
        ['COMBINING GRAVE ACCENT', 'COMBINING DOT BELOW']
    """
    counts = Counter(sign for text in texts for sign in unicodedata.normalize("NFD", text) if _is_accent(sign))
    least = _SHARE * sum(counts.values())
    return "".join(sorted(mark for mark, count in counts.items() if count >= least))


def unmarked(text: str) -> str:
    """Return a text as it is typed without accents and tone marks; vowel signs of other scripts stay.

    Example:
        >>> unmarked("Ọkọ̀ dị n'ụlọ"), unmarked("हिन्दी")
        ("Oko di n'ulo", 'हिन्दी')
    """
    signs = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFC", "".join(sign for sign in signs if not _is_accent(sign)))


def unmarked_copies(texts: Iterable[str]) -> tuple[list[int], list[str]]:
    """Copy the texts that have accents, without them.

    Args:
        texts: Sentences.

    Returns:
        Number of the original of each copy, counted from 0, and the copies.

    Example:
        >>> unmarked_copies(["maji", "ọkọ̀"])
        ([1], ['oko'])
    """
    numbers, copies = [], []
    for number, text in enumerate(texts):
        copy = unmarked(text)
        if copy != unicodedata.normalize("NFC", text):
            numbers.append(number)
            copies.append(copy)
    return numbers, copies


def writes_vowels_as_marks(texts: Iterable[str], threshold: float = 0.01) -> bool:
    """Return whether the texts' script writes letters as combining marks (Devanagari, Arabic vowels, Thai ...).

    BERT's "strip accents" deletes every non-spacing mark (category Mn), including the vowel signs of such scripts.

    Args:
        texts: Sentences.
        threshold: Share of such marks among letters and marks above which the result is true. A few foreign words in
            texts of a Latin-script language do not reach it.

    Returns:
        Whether stripping accents would destroy words.

    Example:
        >>> writes_vowels_as_marks(["हिन्दी"]), writes_vowels_as_marks(["déjà vu"])
        (True, False)
    """
    marks = letters = 0
    for text in texts:
        for character in unicodedata.normalize("NFD", text):
            category = unicodedata.category(character)
            if category == "Mn" and not _is_accent(character):
                marks += 1
            elif category[0] in "LM":
                letters += 1
    return marks > threshold * (marks + letters)


def without_stripping(spec: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return a normalizer's JSON without the stripping of accents.

    Args:
        spec: The ``normalizer`` entry of a tokenizer's JSON.

    Returns:
        The entry with ``strip_accents`` set to false and without ``StripAccents`` steps.

    Example:
        >>> without_stripping({"type": "Sequence", "normalizers": [{"type": "NFD"}, {"type": "StripAccents"}]})
        {'type': 'Sequence', 'normalizers': [{'type': 'NFD'}]}
    """
    if spec is None or spec["type"] == "StripAccents":
        return None
    if spec["type"] == "Sequence":
        kept = [step for step in map(without_stripping, spec["normalizers"]) if step is not None]
        return {**spec, "normalizers": kept}
    return {**spec, "strip_accents": False} if "strip_accents" in spec else dict(spec)


def _keeping(spec: dict[str, Any] | None, marks: str) -> dict[str, Any]:
    """Return a normalizer that strips all marks but these, and those too where they stand on no letter."""
    others = {"Regex": rf"(?<![\p{{L}}\p{{M}}])\p{{Mn}}|[\p{{Mn}}&&[^{marks}]]"}
    rest = without_stripping(spec)
    steps = [] if rest is None else rest["normalizers"] if rest["type"] == "Sequence" else [rest]
    stripped = {"type": "Replace", "pattern": others, "content": ""}
    return {"type": "Sequence", "normalizers": [{"type": "NFD"}, stripped, *steps]}


def _is_accent(character: str) -> bool:
    code = ord(character)
    return code >= _ACCENTS[0][0] and any(first <= code <= last for first, last in _ACCENTS)
