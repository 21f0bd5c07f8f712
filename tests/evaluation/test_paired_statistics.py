from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from hf_optical.errors import InputError
from hf_optical.evaluation.paired_statistics import (
    bootstrap_interval,
    bootstrap_means,
    clustered,
    effect_size,
    paired_tests,
    randomisation_test,
    seed_aware_p,
)

SIMULATIONS, QUERIES, SEEDS = 200, 120, 3
# More false positives than this happen by chance less than once in a thousand at the nominal 5 %.
MOST = int(binom.ppf(0.999, SIMULATIONS, 0.05))


def simulate(generator, gain=0.0, seed_luck=0.0):
    """Two arms on the same queries: each query has its difficulty, each run its noise, each seed its luck."""
    difficulty = generator.beta(2, 2, QUERIES)
    runs = [
        difficulty + generator.normal(0, 0.15, (SEEDS, QUERIES)) + generator.normal(0, seed_luck, (SEEDS, 1))
        for _ in range(2)
    ]
    return runs[0] + gain, runs[1]


def rates(gain=0.0, seed_luck=0.0):
    generator = np.random.default_rng(7)
    pairs = [simulate(generator, gain, seed_luck) for _ in range(SIMULATIONS)]
    differences = np.stack([(a - b).mean(0) for a, b in pairs], axis=1)
    # Simulations have queries of their own, so that one set of random signs may serve them all.
    found = paired_tests(differences, resamples=2000)
    return (found.p < 0.05).sum(), sum(seed_aware_p(a, b) < 0.05 for a, b in pairs), found


def test_without_a_difference_false_positives_stay_at_the_nominal_rate():
    queries, seeds, found = rates()
    assert 1 <= queries <= MOST and seeds <= MOST
    covered = ((found.interval[:, 0] <= 0) & (found.interval[:, 1] >= 0)).sum()
    assert covered >= SIMULATIONS - MOST - 4  # percentile intervals are a little short


def test_a_planted_difference_is_found():
    queries, seeds, found = rates(gain=0.05)
    assert queries > 0.95 * SIMULATIONS
    assert seeds > 0.6 * SIMULATIONS  # three seeds say less
    assert found.difference.mean() == pytest.approx(0.05, abs=0.003)
    assert ((found.interval[:, 0] <= 0.05) & (found.interval[:, 1] >= 0.05)).mean() > 0.9


def test_luck_of_seeds_deceives_the_test_over_queries_and_not_the_other():
    queries, seeds, _ = rates(seed_luck=0.03)
    assert queries > 3 * MOST  # why the report gives both
    assert seeds <= MOST


def test_many_tests_at_once_are_the_ones_at_a_time():
    generator = np.random.default_rng(0)
    differences = generator.normal([0.0, 0.1, 0.3], 1, (150, 3))
    differences[generator.random(differences.shape) < 0.3] = 0  # ties, as real scores have them
    found = paired_tests(differences)
    for column in range(3):
        alone = differences[:, column]
        assert found.p[column] == pytest.approx(randomisation_test(alone), abs=0.02)
        assert found.interval[column] == pytest.approx(bootstrap_interval(alone), abs=0.01)
        assert found.effect_size[column] == pytest.approx(effect_size(alone))
    again = paired_tests(differences)
    assert np.array_equal(found.p, again.p) and np.array_equal(found.interval, again.interval)


def test_equal_systems_are_no_different_and_constant_differences_have_no_effect_size():
    found = paired_tests(np.stack([np.zeros(30), np.full(30, 0.2)], axis=1), resamples=500)
    assert found.p[0] == 1 and found.effect_size[0] == 0
    assert found.p[1] < 0.01 and np.isnan(found.effect_size[1])
    with pytest.raises(InputError, match="finite"):
        paired_tests(np.array([[np.nan]]))


def test_bootstrap_means_have_the_standard_error_of_the_mean():
    values = np.random.default_rng(1).normal(0, 1, (400, 2))
    drawn = bootstrap_means(values, resamples=4000)
    assert drawn.shape == (4000, 2)
    assert drawn.std(0) == pytest.approx(values.std(0) / 20, rel=0.1)


def test_seed_aware_p_by_hand():
    a, b = np.array([[0.5, 0.7, 0.9], [0.4, 0.9, 0.8]]), np.array([[0.4, 0.6, 0.9], [0.3, 0.5, 0.9]])
    difference = a - b
    queries, seeds = difference.mean(0).var(ddof=1) / 3, difference.mean(1).var(ddof=1) / 2
    freedom = (queries + seeds) ** 2 / (queries**2 / 2 + seeds**2 / 1)
    draws = np.random.default_rng(0).standard_t(freedom, 400_000)
    expected = (np.abs(draws) >= difference.mean() / np.sqrt(queries + seeds)).mean()
    assert seed_aware_p(a, b) == pytest.approx(expected, abs=0.005)
    assert seed_aware_p(a[:1], b[:1]) is None
    assert seed_aware_p(a, a) == 1.0


def test_a_query_that_languages_share_is_one_cluster():
    generator = np.random.default_rng(3)
    shared = generator.normal(0, 1, 100)
    languages = [{f"q{i}": np.array(value) for i, value in enumerate(shared)} for _ in range(4)]
    ids, rows = clustered(languages)
    assert len(ids) == 100 and rows.mean() == pytest.approx(shared.mean())
    # Four copies of one language say no more than one: the interval is that of one.
    assert paired_tests(rows[:, None]).interval[0] == pytest.approx(bootstrap_interval(shared), abs=0.025)
    # Languages of different size weigh the same.
    _, rows = clustered([{"a": np.array(1.0)}, {"b": np.array(0.0), "c": np.array(0.0)}])
    assert rows.mean() == pytest.approx(0.5)
