from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hf_optical.comparison.learning_curve import LearningCurve, SaturatingFit, bitext_sentence, fit_learning_curve
from hf_optical.errors import InputError

SIZES = (250, 1000, 4000, 16000, 43769)


def scores(a, b, c, noise=0.0, seed=0, sizes=SIZES):
    generator = np.random.default_rng(seed)
    hard = generator.normal(0, noise, 200)
    return {n: a - b * n**-c + hard + generator.normal(0, noise, (3, 200)) for n in sizes}


@pytest.mark.parametrize(("a", "b", "c"), [(0.9, 4.0, 0.5), (0.6, 1.0, 0.2), (0.7, 30.0, 0.9)])
def test_a_planted_power_law_is_found(a, b, c):
    curve = fit_learning_curve(scores(a, b, c), resamples=50)
    fit = curve.fit
    assert (fit.a, fit.c) == pytest.approx((a, c), rel=0.05)
    assert fit.doubling == pytest.approx(b * (43769**-c - 87538**-c), rel=0.05)
    assert fit.at(1000.0) == pytest.approx(a - b * 1000**-c, abs=0.01)
    assert fit.miss == pytest.approx(0, abs=0.002) and fit.predicts_largest


def test_few_sizes_are_measured_and_nothing_is_fitted():
    curve = fit_learning_curve(
        {n: np.full((1, 5), x) for n, x in ((250, 0.2), (1000, 0.3), (2000, 0.34))}, resamples=20
    )
    assert curve.fit is None and curve.last_gain == pytest.approx(0.04)
    assert curve.last_interval == pytest.approx((0.04, 0.04))
    with pytest.raises(InputError, match="1 sizes"):
        fit_learning_curve({250: np.zeros((1, 5))})


def test_the_interval_holds_the_truth_and_widens_with_noise():
    truth = 2.0 * (43769**-0.3 - 87538**-0.3)
    inside, widths = 0, {}
    for seed in range(40):
        curve = fit_learning_curve(scores(0.8, 2.0, 0.3, noise=0.05, seed=seed), resamples=200)
        low, high = curve.fit.doubling_interval
        inside += low <= truth <= high
    for noise in (0.02, 0.2):
        low, high = fit_learning_curve(scores(0.8, 2.0, 0.3, noise=noise), resamples=200).fit.doubling_interval
        widths[noise] = high - low
    assert inside >= 32 and widths[0.2] > widths[0.02]


def test_a_curve_that_is_wrong_about_the_largest_size_says_nothing_of_more():
    rising = scores(0.9, 4.0, 0.5, noise=0.01)
    broken = {**rising, SIZES[-1]: rising[SIZES[-1]] - 0.1}  # the last pairs were of another kind
    curve = fit_learning_curve(broken, resamples=100)
    assert not curve.fit.predicts_largest and curve.fit.miss > 0.08
    said = bitext_sentence(curve, "ot", "Somali", "nDCG@10")
    assert "fell by" in said and said.endswith("nothing is said of still more.") and "twice" not in said


def test_a_steep_rise_cannot_pass_one_or_fail():
    for last in (0.95, 1.0):
        values = {n: np.full((1, 3), x) for n, x in ((100, 0.1), (200, 0.4), (400, 0.7), (800, last))}
        fit = fit_learning_curve(values, resamples=5).fit
        assert np.isfinite([fit.a, fit.b, fit.c, fit.miss, fit.doubling]).all()
        assert fit.at(1e9) <= 1 and fit.at(800.0) + fit.doubling <= 1


def test_the_sentence_says_what_was_measured():
    def said(gain, interval):
        return bitext_sentence(LearningCurve((250, 16000), (0.4, 0.5), gain, interval), "ot", "Somali", "nDCG@10")

    assert "from 250 to 16,000 pairs nDCG@10 rose by .020 [.010, .030]; 2 sizes" in said(0.02, (0.01, 0.03))
    assert "fell by .020 [.010, .030]" in said(-0.02, (-0.03, -0.01))
    assert "did not change beyond chance, +.002 [-.010, +.010]" in said(0.002, (-0.01, 0.01))


def test_an_extrapolation_is_called_one_and_no_sentence_advises_to_buy():
    fit = SaturatingFit(0.6, 1.0, 0.3, 0.001, (-0.01, 0.01), 0.02, (0.01, 0.03))
    curve = LearningCurve(SIZES[:4], (0.2, 0.3, 0.4, 0.45), 0.05, (0.04, 0.06), fit)
    text = bitext_sentence(curve, "ot", "Somali", "nDCG@10")
    assert text.endswith("puts twice as many at +.020 [+.010, +.030]: an extrapolation, pairs like these supposed.")
    missed = replace(curve, fit=replace(fit, miss=0.01, miss_interval=(0.001, 0.02)))
    assert "extrapolation" not in bitext_sentence(missed, "ot", "Somali", "nDCG@10")
    assert not {"buy", "collect", "would add"} & set(text.split())
