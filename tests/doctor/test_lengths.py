from __future__ import annotations

import numpy as np

from hf_optical.doctor.lengths import length_scores


def _pairs(rows: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    english = draw.integers(40, 120, size=rows)
    return english, np.round(english * draw.lognormal(0.3, 0.3, size=rows))


def test_copies_do_not_narrow_what_is_usual() -> None:
    english, other = _pairs(300)
    alone, ratio, spread = length_scores(english, other)
    with_copies = np.concatenate([english, np.full(200, 60)]), np.concatenate([other, np.full(200, 60)])
    sound = np.arange(500) < 300
    found, found_ratio, found_spread = length_scores(*with_copies, sound)
    np.testing.assert_allclose(found[:300], alone)
    assert (found_ratio, found_spread) == (ratio, spread)
    narrowed = length_scores(*with_copies)[0]
    assert np.abs(narrowed[:300] - alone).max() > 0.5


def test_too_few_sound_pairs_are_not_learned_from() -> None:
    english, other = _pairs(300)
    few = np.arange(300) < 3
    np.testing.assert_array_equal(length_scores(english, other, few)[0], length_scores(english, other)[0])
