from __future__ import annotations

import numpy as np
import pytest

from hf_optical.comparison.learning_curve import LearningCurve, doubling_sentence, fit_learning_curve
from hf_optical.errors import InputError

SIZES = (250, 1000, 4000, 16000, 43769)


def scores(a, b, c, noise=0.0, seed=0, sizes=SIZES):
    generator = np.random.default_rng(seed)
    hard = generator.normal(0, noise, 200)
    return {n: a - b * n**-c + hard + generator.normal(0, noise, (3, 200)) for n in sizes}


@pytest.mark.parametrize(("a", "b", "c"), [(0.9, 4.0, 0.5), (0.6, 1.0, 0.2), (0.7, 30.0, 0.9)])
def test_a_planted_power_law_is_found(a, b, c):
    curve = fit_learning_curve(scores(a, b, c), resamples=50)
    assert curve.kind == "power"
    assert (curve.a, curve.c) == pytest.approx((a, c), rel=0.05)
    gain = b * (43769**-c - 87538**-c)
    assert curve.doubling == pytest.approx(gain, rel=0.05)
    assert curve.at(1000.0) == pytest.approx(a - b * 1000**-c, abs=0.01)


def test_few_sizes_give_a_line_in_the_logarithm():
    curve = fit_learning_curve({250: np.full((1, 5), 0.2), 1000: np.full((1, 5), 0.3)}, resamples=20)
    assert curve.kind == "logarithm" and curve.doubling == pytest.approx(0.05)
    assert curve.doubling_interval == pytest.approx((0.05, 0.05))
    with pytest.raises(InputError, match="1 sizes"):
        fit_learning_curve({250: np.zeros((1, 5))})


def test_the_interval_holds_the_truth_and_widens_with_noise():
    truth = 2.0 * (43769**-0.3 - 87538**-0.3)
    inside, widths = 0, {}
    for seed in range(40):
        curve = fit_learning_curve(scores(0.8, 2.0, 0.3, noise=0.05, seed=seed), resamples=200)
        low, high = curve.doubling_interval
        inside += low <= truth <= high
    for noise in (0.02, 0.2):
        low, high = fit_learning_curve(scores(0.8, 2.0, 0.3, noise=noise), resamples=200).doubling_interval
        widths[noise] = high - low
    assert inside >= 32 and widths[0.2] > widths[0.02]


def test_a_curve_cannot_pass_one():
    curve = fit_learning_curve({n: np.full((1, 3), 0.7 + 0.15 * i) for i, n in enumerate((100, 1000))}, resamples=5)
    assert curve.at(1e9) == 1 and curve.doubling <= 0.15


def test_the_sentence_says_gain_loss_or_perhaps_nothing():
    def said(doubling, interval):
        curve = LearningCurve((250, 16000), (0.4, 0.5), "power", 0.6, 1.0, 0.3, doubling, interval)
        return doubling_sentence(curve, "ot", "Somali", "nDCG@10")

    assert said(0.02, (0.01, 0.03)).endswith("would add about 0.020 nDCG@10 [0.010, 0.030].")
    assert said(-0.02, (-0.03, -0.01)).endswith("would cost about 0.020 nDCG@10 [0.010, 0.030].")
    assert said(0.002, (-0.01, 0.01)).endswith("by about +0.002 [-0.010, +0.010]: perhaps nothing.")
    assert "(16,000 to 32,000 pairs)" in said(0.02, (0.01, 0.03))
