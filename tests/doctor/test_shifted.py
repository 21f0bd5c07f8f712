import json

import numpy as np
import pytest

from hf_optical.doctor import Checks, examine, quick_check
from hf_optical.doctor.shifted import find_shifts, shifted_rows


def lengths(rows: int, noise: float = 0.15, seed: int = 0) -> np.ndarray:
    """Lengths of both sides of sound pairs: log-normal, the translation a noisy multiple of the English."""
    rng = np.random.default_rng(seed)
    english = np.exp(rng.normal(4, 0.6, rows))
    return np.column_stack([english, english * 1.2 * np.exp(rng.normal(0, noise, rows))]).astype(int)


def move(pairs: np.ndarray, start: int, stop: int, offset: int) -> np.ndarray:
    moved = pairs.copy()
    moved[start:stop, 1] = np.roll(pairs[start:stop, 1], offset)
    return moved


@pytest.mark.parametrize("offset", [1, -1, 3])
@pytest.mark.parametrize(("start", "stop"), [(0, 600), (300, 600), (200, 400)])
def test_a_shifted_part_is_found_with_its_offset(start, stop, offset):
    (shift,) = find_shifts(*move(lengths(600), start, stop, offset).T)
    assert shift.offset == offset
    assert abs(shift.start - start) <= 50 and abs(shift.stop - stop) <= 50
    assert shift.fit > 0.9 and shift.own < 0.3


def test_half_of_6000_rows_is_found_whole():
    (shift,) = find_shifts(*move(lengths(6_000), 3_000, 6_000, 1).T)
    assert (shift.start, shift.stop) == (3_000, 6_000)


@pytest.mark.parametrize("seed", range(20))
def test_sound_random_sorted_and_constant_files_are_not_shifted(seed):
    pairs = lengths(2_000, noise=0.4, seed=seed)
    rng = np.random.default_rng(seed)
    for left, right in (
        pairs.T,
        (pairs[:, 0], rng.permutation(pairs[:, 1])),  # random pairs fit nowhere
        np.sort(pairs, axis=0).T,
        (pairs[:, 0], np.full(2_000, 30)),
    ):
        assert find_shifts(left, right) == []


def test_rows_that_cannot_be_read_and_short_files():
    pairs = move(lengths(600), 300, 600, 1)
    pairs[::7] = 0
    assert [shift.offset for shift in find_shifts(*pairs.T)] == [1]
    assert find_shifts(*lengths(90).T) == []
    assert shifted_rows(np.zeros((0, 2)), [])[1:] == ([], [])


def test_the_verdict_warns_with_the_figure_and_cleaning_leaves_the_rows_out():
    rng = np.random.default_rng(1)
    words = [f"word{number}" for number in range(400)]
    rows = [" ".join(rng.choice(words, rng.integers(2, 40))) for _ in range(1_000)]
    other = [text.replace("word", "neno") for text in rows]
    verdict = quick_check(list(zip(rows, other, strict=True)), language="sw")
    assert verdict.level == "clean" and not verdict.doubts
    shifted = other[:500] + other[501:] + other[500:501]
    verdict = quick_check(list(zip(rows, shifted, strict=True)), language="sw")
    assert verdict.level == "dirty" and 450 <= verdict.counts["misaligned"] <= 550
    assert "Warning: rows 501 to 1000 are shifted: their translations stand in the row 1 above" in verdict.text()
    assert "correlate by 1.00 there" in verdict.text()
    assert "Not checked outside the shifted rows: misaligned" in verdict.text()
    assert json.loads(json.dumps(verdict.as_dict()))["doubts"] == verdict.doubts


def test_what_the_lexical_check_cannot_decide_is_a_warning():
    rng = np.random.default_rng(2)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    sides = [["".join(rng.choice(letters, 7)) for _ in range(300)] for _ in range(2)]
    rows = [tuple(" ".join(rng.choice(words, 12)) for words in sides) for _ in range(800)]
    verdict = examine(rows, language="sw", checks=Checks(near=False)).verdict
    assert "misaligned" in verdict.skipped and verdict.level != "clean"
    assert "Warning: whether 800 pairs belong together was not decided" in verdict.text()
    assert "trusted from 95%" in verdict.text()
