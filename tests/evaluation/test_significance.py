"""Intervals and tests: known answers, and the false positive rate that they promise."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats

from hf_optical.errors import InputError
from hf_optical.evaluation.paired_statistics import bootstrap_interval, effect_size, holm, randomisation_test
from hf_optical.evaluation.retrieval import RetrievalScores
from hf_optical.evaluation.significance import compare, compare_all, legend_of


def _scores(values, metric="mrr@10"):
    per_query = {f"q{index}": {metric: float(value)} for index, value in enumerate(values)}
    return RetrievalScores("a set", "swh_Latn", len(values), {metric: float(np.mean(values))}, per_query)


@pytest.mark.parametrize("seed", range(4))
def test_small_samples_are_tested_exactly(seed):
    data = np.random.default_rng(seed).normal(0.4, 1, 9)
    flips = np.array(list(product([1, -1], repeat=9)))
    expected = np.mean(np.abs(flips @ data) >= abs(data.sum()) - 1e-12)
    assert randomisation_test(data) == pytest.approx(expected)


def test_sampled_test_agrees_with_scipy():
    data = np.random.default_rng(1).normal(0.2, 1, 80)
    expected = stats.permutation_test(
        (data,), np.mean, permutation_type="samples", n_resamples=20_000, rng=np.random.default_rng(2)
    )
    assert randomisation_test(data) == pytest.approx(expected.pvalue, abs=0.01)


def test_equal_systems_and_ties_do_not_count():
    assert randomisation_test(np.zeros(50)) == 1.0
    assert randomisation_test([1.0, 1.0, 1.0] + [0.0] * 100) == 0.25


def test_the_sampled_p_value_is_never_zero():
    assert 0 < randomisation_test(np.ones(100)) < 0.001


def test_false_positive_rate_is_nominal():
    generator = np.random.default_rng(0)
    rejected = [randomisation_test(generator.normal(size=40), permutations=500) < 0.05 for _ in range(200)]
    # Binomial(200, 0.05): between 2 and 19 with probability above 0.999.
    assert 2 <= sum(rejected) <= 19


def test_interval_covers_the_mean_as_often_as_it_says():
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        low, high = bootstrap_interval(generator.exponential(size=60), resamples=400)
        covered += low <= 1.0 <= high
    assert 0.85 <= covered / 200 <= 0.99


def test_interval_of_known_width():
    values = np.random.default_rng(3).normal(size=2_000)
    low, high = bootstrap_interval(values, resamples=4_000)
    error = values.std() / np.sqrt(2_000)
    assert (values.mean() - low) / error == pytest.approx(1.96, abs=0.12)
    assert (high - values.mean()) / error == pytest.approx(1.96, abs=0.12)


def test_resampling_is_decided_by_the_seed():
    values = np.random.default_rng(0).normal(size=40)
    assert bootstrap_interval(values, seed=4) == bootstrap_interval(values, seed=4)
    assert bootstrap_interval(values, seed=4) != bootstrap_interval(values, seed=5)


def test_holm():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_effect_size():
    assert effect_size([0.0, 0.0]) == 0.0
    assert effect_size([0.3, 0.3]) is None
    assert effect_size([1.0, 3.0]) == pytest.approx(2 / np.sqrt(2))


def test_verdicts():
    generator = np.random.default_rng(0)
    base = generator.random(60)
    better = compare(_scores(base + 0.2), _scores(base), "mrr@10")
    assert (better.outcome, better.n) == ("win", 60)
    assert better.difference == pytest.approx(0.2)
    assert "win" in better.verdict
    assert compare(_scores(base), _scores(base + 0.2), "mrr@10").outcome == "loss"
    same = compare(_scores(base), _scores(base + generator.normal(0, 0.5, 60)), "mrr@10")
    assert same.outcome == "tie"
    assert same.interval[0] < 0 < same.interval[1]


def test_few_queries_decide_nothing():
    found = compare(_scores([1.0] * 24), _scores([0.0] * 24), "mrr@10")
    assert found.p < 0.001
    assert found.outcome == "inconclusive"
    assert "inconclusive" in found.verdict


def test_several_comparisons_are_corrected_together():
    base = np.random.default_rng(5).random(40)
    noise = np.random.default_rng(6).normal(0.0, 0.3, 40)
    marginal = (_scores(base + 0.11 + noise), _scores(base))
    alone = compare(*marginal, "mrr@10")
    together = compare_all([marginal, *[(_scores(base), _scores(base))] * 19], "mrr@10")
    assert together[0].p == alone.p
    assert together[0].p_holm == pytest.approx(min(1.0, 20 * alone.p))


def test_a_verdict_says_which_p_it_shows_where_its_interval_says_otherwise():
    generator = np.random.default_rng(5)
    base, noise = generator.random(40), generator.normal(0.0, 0.3, 40)
    marginal = (_scores(base + 0.115 - noise.mean() + noise), _scores(base))
    alone = compare(*marginal, "mrr@10")
    assert alone.outcome == "win" and ", p = " in alone.verdict and legend_of(alone.verdict) == ""
    together = compare_all([marginal, marginal, marginal], "mrr@10")[0]
    assert together.outcome == "tie" and together.interval[0] > 0
    assert f", p (Holm) = {together.p_holm:.2g}, " in together.verdict
    assert "a tie may have an interval without 0" in legend_of(together.verdict)


def test_queries_are_paired_by_id():
    a = _scores([0.1, 0.9] * 20)
    shuffled = RetrievalScores(a.set, a.language, a.n, a.metrics, dict(reversed(a.per_query.items())))
    assert compare(a, shuffled, "mrr@10").p == 1.0


def test_bad_input_is_named():
    with pytest.raises(InputError, match="1 queries of a set were scored for only one system, the first is 'q2'"):
        compare(_scores([1, 2, 3]), _scores([1, 2]), "mrr@10")
    with pytest.raises(InputError, match="'map' is not among"):
        compare(_scores([1, 2]), _scores([1, 2]), "map")
    with pytest.raises(InputError, match="not a finite number"):
        randomisation_test([np.nan])
    with pytest.raises(InputError, match="at least one"):
        bootstrap_interval([])
    with pytest.raises(InputError, match="confidence is 95"):
        bootstrap_interval([1.0], confidence=95)
