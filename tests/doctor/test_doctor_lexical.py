from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_optical.doctor import Checks, examine, misaligned
from hf_optical.doctor.kinds import bit_of
from hf_optical.doctor.lexical import learn, stems_of
from hf_optical.doctor.misaligned import alignment
from hf_optical.doctor.word_hashes import words_of

NONE = 10  # stems: so few couples do not share places in the table
Sides = list[tuple[list[int], list[int]]]
Counts = defaultdict[Any, float]


def _rows(count: int, seed: int) -> Sides:
    """Pairs of 1 to 10 distinct stems a side."""
    rng = np.random.default_rng(seed)
    return [tuple(rng.permutation(NONE)[: rng.integers(1, 11)].tolist() for _ in range(2)) for _ in range(count)]  # type: ignore[misc]


def _tables(rows: Sides) -> tuple[np.ndarray, np.ndarray]:
    tables = np.full((2, len(rows), 12), NONE, dtype=np.int32)
    for number, row in enumerate(rows):
        for table, stems in zip(tables, row, strict=True):
            table[number, : len(stems)] = stems
    return tables[0], tables[1]


def _plain_model(rows: Sides, rounds: int) -> tuple[Counts, Counts]:
    """IBM Model 1 of right given left, with dictionaries."""
    pairs: Counts = defaultdict(float)
    totals: Counts = defaultdict(float)
    for number in range(rounds):
        counted: Counts = defaultdict(float)
        given_counts: Counts = defaultdict(float)
        for left, right in rows:
            for target in right:
                shares = [pairs[source, target] / (totals[source] + 0.5) if number else 1.0 for source in left]
                for source, share in zip(left, shares, strict=True):
                    counted[source, target] += share / sum(shares)
                    given_counts[source] += share / sum(shares)
        pairs, totals = counted, given_counts
    return pairs, totals


def test_the_lexicon_is_ibm_model_1_in_both_directions() -> None:
    rows, others = _rows(60, 0), _rows(25, 1)
    (pairs, totals), (back, back_totals) = (_plain_model(side, 2) for side in (rows, [(b, a) for a, b in rows]))

    def agreement(source: int, target: int) -> float:
        forth = pairs[source, target] / (totals[source] + 0.5)
        return math.log(math.sqrt(forth * back[target, source] / (back_totals[target] + 0.5)) + 1e-3)

    expected = [
        (
            np.mean([max(agreement(source, target) for target in right) for source in left]),
            np.mean([max(agreement(source, target) for source in left) for target in right]),
        )
        for left, right in others
    ]
    found = learn(*_tables(rows), NONE).score(*_tables(others))
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(2)
    meaning = draw.permutation(400)
    sentences = draw.integers(400, size=(2200, 6))
    source, translation = (
        stems_of(words_of([" ".join(f"{letter}{word:04d}" for word in row) for row in rows]))
        for letter, rows in (("a", sentences), ("b", meaning[sentences]))
    )
    lengths, sound = np.full((2200, 2), 35), np.ones(2200, dtype=bool)
    two = alignment(source, translation, lengths, sound)
    monkeypatch.setattr(misaligned, "_THREADS_FROM", 10**9)
    one = alignment(source, translation, lengths, sound)
    assert one is not None and two is not None
    assert np.array_equal(one.scores, two.scores) and np.array_equal(one.shuffled, two.shuffled)
    assert one.mixture.auc > 0.95


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(*[st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=9)] * 2), min_size=1, max_size=9)
)
def test_copies_are_what_a_plain_count_says(rows: list[tuple[list[str], list[str]]]) -> None:
    flagged = examine([(" ".join(a), " ".join(b)) for a, b in rows], checks=Checks(near=False, misaligned=False)).flags
    for (source, translation), flags in zip(rows, flagged, strict=True):
        shared = sum(word in source for word in translation) / len(translation)
        assert bool(flags & bit_of("copy")) == (source == translation or (len(translation) >= 4 and shared >= 0.8))
