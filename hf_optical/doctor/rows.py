"""Checks of single rows, which need neither the rest of the file nor a model."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hf_optical.doctor.characters import (
    ALPHA,
    BROKEN,
    CONTROL,
    DIGIT,
    ENGLISH_SCRIPT,
    MOJI_LEAD,
    MOJI_TAIL,
    OTHER_SCRIPT,
    VISIBLE,
    Characters,
    characters,
    code_points,
    join,
)
from hf_optical.doctor.encoding import encoding_fault
from hf_optical.doctor.kinds import bit_of
from hf_optical.doctor.numbers import number_mismatch
from hf_optical.doctor.overlap import EvaluationIndex
from hf_optical.doctor.reading import Chunk
from hf_optical.doctor.word_hashes import Words, words_of

__all__ = ["Limits", "RowFacts", "look"]

_SIDES = ("source", "translation")
_ODD = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Limits:
    """Thresholds of the checks of single rows.

    Attributes:
        script: ISO 15924 code of the translations' script; ``None`` if the language is not known.
        max_words: Number of words above which a side is overlong. Default 200.
        max_characters: Number of characters above which a side is overlong, for scripts without spaces. Default 2000.
        least_script: Least share of a side's letters that must be of its script. Default 0.5.
        copied: Share of a translation's words that are also in the English text, from which it is a copy. Default 0.8.
    """

    script: str | None = None
    max_words: int = 200
    max_characters: int = 2000
    least_script: float = 0.5
    copied: float = 0.8


@dataclass
class RowFacts:
    """Facts of the rows of a chunk.

    Attributes:
        flags: Bits of kinds of defects, uint32 ``(rows,)``.
        details: Description of what was found, by index in the chunk and kind.
        lengths: Visible characters of both sides, int32 ``(rows, 2)``.
        words: The words of both sides.
    """

    flags: np.ndarray
    lengths: np.ndarray
    words: tuple[Words, Words]
    details: dict[tuple[int, str], str] = field(default_factory=dict)

    def mark(self, row: int, kind: str, detail: str | None = None) -> None:
        """Mark a defect of a row, with a description of what was found."""
        self.flags[row] |= bit_of(kind)
        if detail is not None:
            self.details.setdefault((row, kind), detail)


def look(chunk: Chunk, limits: Limits, index: EvaluationIndex | None = None) -> RowFacts:
    """Check every row of a chunk by itself.

    Args:
        chunk: The chunk.
        limits: Thresholds.
        index: Texts of an evaluation set, or ``None``.
    """
    texts = (chunk.source, chunk.translation)
    sides = [
        characters(code_points(join(side)), script) for side, script in zip(texts, (None, limits.script), strict=True)
    ]
    words = (words_of(chunk.source), words_of(chunk.translation))
    lengths = np.column_stack([side.count(VISIBLE) for side in sides]).astype(np.int32)
    facts = RowFacts(np.zeros(len(chunk), dtype=np.uint32), lengths, words)
    for row, fault in chunk.faults.items():
        facts.mark(row, "unreadable", fault)
    for name, side, text, length in zip(_SIDES, sides, texts, lengths.T, strict=True):
        _characters(facts, name, side, text, length, chunk)
    _scripts(facts, sides, limits)
    _overlong(facts, limits)
    _copies(facts, limits)
    _numbers(facts, sides, chunk)
    if index is not None:
        for name, side_words in zip(_SIDES, words, strict=True):
            for found in index.find(side_words):
                how = "is" if found.exact else f"shares {found.share:.0%} of its word trigrams with"
                facts.mark(found.row, "eval_exact" if found.exact else "eval_near", f"{name} {how} {found.text}")
    # A row with an exact match is not also marked as a near one.
    facts.flags[facts.flags & bit_of("eval_exact") > 0] &= ~np.uint32(bit_of("eval_near"))
    facts.flags[list(chunk.faults)] = bit_of("unreadable")
    return facts


def _characters(
    facts: RowFacts, name: str, side: Characters, text: list[str], length: np.ndarray, chunk: Chunk
) -> None:
    """Mark texts of one side that are empty, have control characters or were decoded wrongly."""
    for row in np.flatnonzero(length == 0):
        if row not in chunk.faults:
            facts.mark(int(row), "empty", f"{name} has no visible characters")
    for row in side.having(CONTROL):
        shown = next(f"U+{ord(character):04X}" for character in text[row] if _is_control(character))
        facts.mark(int(row), "control", f"{name} holds {shown}")
    lead, tail = side.classes & MOJI_LEAD, side.classes & MOJI_TAIL
    suspects = side.rows_at(np.flatnonzero((lead[:-1] > 0) & (tail[1:] > 0)))
    lost = [row for row, one in enumerate(text) if one.count("?") > 2]
    for row in np.unique(np.concatenate([suspects, side.having(BROKEN), np.array(lost, dtype=np.int64)])):
        problem = encoding_fault(text[row])
        if problem is not None:
            facts.mark(int(row), "encoding", f"{name} {problem}")


def _is_control(character: str) -> bool:
    from hf_optical.doctor.characters import class_table

    return bool(class_table()[min(ord(character), 0x1FFFF)] & CONTROL)


def _scripts(facts: RowFacts, sides: list[Characters], limits: Limits) -> None:
    """Mark texts whose letters are mostly of another script."""
    for name, side, bit, known in zip(
        _SIDES, sides, (ENGLISH_SCRIPT, OTHER_SCRIPT), (True, limits.script), strict=True
    ):
        if not known:
            continue
        letters = side.count(ALPHA)
        fitting = np.add.reduceat(
            (side.classes & (bit | ALPHA)) == (bit | ALPHA), np.concatenate([[0], side.ends[:-1] + 1]), dtype=np.int64
        )
        for row in np.flatnonzero((letters > 1) & (fitting < limits.least_script * letters)):
            facts.mark(int(row), "script", f"{name}: {fitting[row]} of {letters[row]} letters are of its script")


def _overlong(facts: RowFacts, limits: Limits) -> None:
    """Mark texts with too many words or characters."""
    for name, words, length in zip(_SIDES, facts.words, facts.lengths.T, strict=True):
        for row in np.flatnonzero((words.counts > limits.max_words) | (length > limits.max_characters)):
            facts.mark(int(row), "overlong", f"{name} has {words.counts[row]} words and {length[row]} characters")


def _copies(facts: RowFacts, limits: Limits) -> None:
    """Mark translations that are the English text or consist mostly of its words."""
    source, translation = facts.words
    for row in np.flatnonzero((source.keys == translation.keys) & (source.counts > 0)):
        facts.mark(int(row), "copy", "both sides are the same")
    share = _shared(translation, source, limits.copied)
    for row in np.flatnonzero((share >= limits.copied) & (translation.counts >= 4)):
        facts.mark(int(row), "copy", f"{share[row]:.0%} of the translation's words are in the English text")


def _shared(ours: Words, theirs: Words, least: float) -> np.ndarray:
    """Compute the share of each text's words that its partner has too, ``(texts,)``; 0 if it is below ``least``."""
    texts = len(ours.keys)
    rows = [words.rows for words in (ours, theirs)]
    mine, others = (
        words.hashes + row.astype(np.uint64) * _ODD for words, row in zip((ours, theirs), rows, strict=True)
    )
    # A hash filter of 2**20 bits gives an upper bound of the share; only texts above the limit are compared exactly.
    sieve = np.zeros(1 << 20, dtype=bool)
    sieve[others >> np.uint64(44)] = True
    most = np.bincount(rows[0], sieve[mine >> np.uint64(44)], texts) / np.maximum(ours.counts, 1)
    wanted = most >= least
    kept = np.flatnonzero(wanted[rows[0]])
    there = np.isin(mine[kept], others[wanted[rows[1]]])
    return np.bincount(rows[0][kept], there, texts) / np.maximum(ours.counts, 1)


def _numbers(facts: RowFacts, sides: list[Characters], chunk: Chunk) -> None:
    """Mark pairs whose sides have different numbers."""
    for row in np.intersect1d(sides[0].having(DIGIT), sides[1].having(DIGIT)):
        found = number_mismatch(chunk.source[row], chunk.translation[row])
        if found is not None:
            facts.mark(int(row), "number", found)
