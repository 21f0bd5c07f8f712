"""Statistics of paired differences, as pure functions of arrays: one or many pairs of systems on the same queries.

The paired randomisation test (Fisher; for retrieval Smucker, Allan and Carterette, CIKM 2007) and percentile bootstrap
intervals over queries (Efron, 1979) are those of :mod:`scipy.stats`; Holm's correction (1979), a test that treats seeds
as a random sample, and scores of several languages as one table are added here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from hf_optical.errors import InputError

ALPHA = 0.05
"""Significance level: p-values below it count as significant."""
RESAMPLES = 10_000
_BLOCK = 2_000_000  # numbers held in memory while resampling: 16 MB


@dataclass(frozen=True)
class PairedTests:
    """Statistics of P paired systems on n queries; all arrays have the shape (P,) except the interval.

    Attributes:
        difference: Mean difference.
        interval: 95 % percentile bootstrap interval over queries, (P, 2).
        p: Two-sided p-value of the paired randomisation test.
        effect_size: Cohen's d of the paired differences; nan if it is unbounded.
    """

    difference: np.ndarray
    interval: np.ndarray
    p: np.ndarray
    effect_size: np.ndarray


def paired_tests(
    differences: np.ndarray, *, confidence: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> PairedTests:
    """Compute randomisation tests, bootstrap intervals and effect sizes of many paired differences.

    Args:
        differences: Score of one system minus that of the other, (queries, pairs).
        confidence: Confidence level of the intervals, between 0 and 1.
        resamples: Number of sign patterns and of bootstrap resamples; the observed pattern is counted too, so that p is
            never zero (Phipson and Smyth, 2010). If there are fewer patterns, all are used.
        seed: Random seed of both; all columns share the patterns and the resamples.

    Raises:
        InputError: There are no queries, or a difference is not finite.

    Example:
        >>> generator = np.random.default_rng(0)
        >>> tests = paired_tests(np.stack([generator.normal(0.5, 1, 200), generator.normal(0, 1, 200)], axis=1))
        >>> bool(tests.p[0] < 0.001 < 0.05 < tests.p[1])
        True
    """
    data = np.asarray(differences, dtype=float)
    if data.ndim != 2 or not data.size or not np.isfinite(data).all():
        raise InputError(f"differences have the shape {data.shape}", "give finite numbers, (queries, pairs)")
    if not 0 < confidence < 1:
        raise InputError(f"confidence is {confidence}", "give a number between 0 and 1, such as 0.95")
    tail = 50 * (1 - confidence)
    drawn = bootstrap_means(data, resamples=resamples, seed=seed)
    interval = np.percentile(drawn, [tail, 100 - tail], axis=0).T
    mean, spread = data.mean(0), data.std(0, ddof=1) if len(data) > 1 else np.zeros(data.shape[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        effect = np.where(spread > 1e-12, mean / spread, np.where(np.abs(mean) < 1e-12, 0.0, np.nan))
    return PairedTests(mean, interval, _randomisation_p(data, resamples, seed), effect)


def _randomisation_p(data: np.ndarray, resamples: int, seed: int) -> np.ndarray:
    if len(data) == 1:  # scipy needs two observations; the two sign patterns of one are equally extreme
        return np.ones(data.shape[1])
    tested = stats.permutation_test(
        (data,),
        lambda sample, axis: sample.mean(axis),
        permutation_type="samples",  # in scipy's terms, random signs of one sample
        vectorized=True,
        axis=0,
        n_resamples=resamples,
        batch=max(1, _BLOCK // data.size),
        rng=np.random.default_rng(seed),
    )
    return np.atleast_1d(tested.pvalue)


def bootstrap_means(values: np.ndarray, *, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """Compute means over queries resampled with replacement, with the same resamples for every column.

    Args:
        values: (queries, columns).
        resamples: Number of resamples.
        seed: Random seed of the resampling.

    Returns:
        (resamples, columns).
    """
    if len(values) == 1:
        return np.repeat(np.asarray(values, dtype=float), resamples, axis=0)
    found = stats.bootstrap(
        (values,),
        np.mean,
        vectorized=True,
        axis=0,
        n_resamples=resamples,
        method="percentile",
        batch=max(1, _BLOCK // values.size),
        rng=np.random.default_rng(seed),
    )
    return np.moveaxis(found.bootstrap_distribution, -1, 0)


def bootstrap_interval(
    values: Sequence[float] | np.ndarray, *, confidence: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> tuple[float, float]:
    """Compute the percentile bootstrap interval of a mean over queries.

    Args:
        values: One number per query, shape ``(n,)``.
        confidence: Confidence level.
        resamples: Number of resamples of the queries, with replacement.
        seed: Random seed of the resampling.

    Returns:
        Lower and upper bound.

    Raises:
        InputError: If there are no values, one is not finite, or ``confidence`` is not between 0 and 1.

    Example:
        >>> low, high = bootstrap_interval([0.0, 1.0] * 50)
        >>> low < 0.5 < high
        True
    """
    data = _finite(values)
    if not 0 < confidence < 1:
        raise InputError(f"confidence is {confidence}", "give a number between 0 and 1, such as 0.95")
    tail = 50 * (1 - confidence)
    low, high = np.percentile(bootstrap_means(data[:, None], resamples=resamples, seed=seed), [tail, 100 - tail])
    return float(low), float(high)


def randomisation_test(
    differences: Sequence[float] | np.ndarray, *, permutations: int = RESAMPLES, seed: int = 0
) -> float:
    """Run a two-sided paired randomisation test: the share of sign patterns with a mean at least as far from zero.

    All ``2**n`` sign patterns are tried if they are fewer than ``permutations``. Otherwise ``permutations`` patterns
    are sampled and the observed one is counted too, so that p is never zero.

    Args:
        differences: Score of one system minus the other, per query, shape ``(n,)``.
        permutations: Number of sampled sign patterns.
        seed: Random seed of the resampling.

    Returns:
        The p-value, in ``(0, 1]``.

    Raises:
        InputError: If there are no differences or one is not finite.

    Example:
        >>> randomisation_test([1.0, 1.0, 1.0])  # 2 of 8 patterns are as extreme
        0.25
    """
    data = _finite(differences)
    data = data[data != 0]  # zero differences are dropped, because their sign has no effect
    return float(_randomisation_p(data[:, None], permutations, seed)[0]) if len(data) else 1.0


def effect_size(differences: Sequence[float] | np.ndarray) -> float | None:
    """Compute Cohen's d of paired differences: their mean divided by their standard deviation.

    Args:
        differences: Shape ``(n,)``.

    Returns:
        The effect size; 0 if every difference is zero, ``None`` if all differences are the same other number.

    Example:
        >>> round(effect_size([1.0, 0.0, 1.0, 0.0]), 3)
        0.866
    """
    data = _finite(differences)
    spread = data.std(ddof=1) if len(data) > 1 else 0.0
    if spread > 1e-12:
        return float(data.mean() / spread)
    return 0.0 if abs(data.mean()) < 1e-12 else None


def holm(p_values: Sequence[float]) -> list[float]:
    """Apply Holm's step-down correction, which controls the probability of any false finding.

    Args:
        p_values: One per comparison.

    Returns:
        The corrected values in the same order, at most 1.

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=float)
    order = np.argsort(p, kind="stable")
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * (len(p) - np.arange(len(p)))))
    return corrected.tolist()


def seed_aware_p(a: np.ndarray, b: np.ndarray) -> float | None:
    """Compute the two-sided p-value of a difference with queries *and* seeds treated as random samples.

    The randomisation test tells whether the difference would hold on other queries for the models as trained. Two arms
    that differ only by their seeds pass it too often. Here the variance of the mean difference is the variance over
    queries plus the variance over seeds (runs of the same seed are paired), with Welch and Satterthwaite's degrees of
    freedom (Biometrics Bulletin, 1946). With three seeds the test has little power for small gains.

    Args:
        a: Scores of one system, (seeds, queries).
        b: Scores of the other system; one row (a system without seeds) is compared with all seeds of ``a``, and vice
            versa.

    Returns:
        The p-value; ``None`` with fewer than two seeds.

    Example:
        >>> generator = np.random.default_rng(0)
        >>> a = generator.normal(0.5, 0.1, (3, 100))
        >>> seed_aware_p(a + 0.2, a) < 0.001 < seed_aware_p(a + [[0.2], [0.0], [-0.1]], a)
        True
    """
    if len(a) != len(b) and 1 not in (len(a), len(b)):
        seeds = min(len(a), len(b))  # in an unfinished comparison, use the seeds that both have
        a, b = a[:seeds], b[:seeds]
    difference = a - b
    seeds, queries = difference.shape
    if seeds < 2 or queries < 2:
        return None
    of_queries = difference.mean(0).var(ddof=1) / queries
    of_seeds = difference.mean(1).var(ddof=1) / seeds
    variance = of_queries + of_seeds
    mean = difference.mean()
    if variance < 1e-24:
        return 1.0 if abs(mean) < 1e-12 else 0.0
    freedom = variance**2 / (of_queries**2 / (queries - 1) + of_seeds**2 / (seeds - 1))
    return float(2 * stats.t.sf(abs(mean) / np.sqrt(variance), freedom))


def clustered(by_language: Sequence[dict[str, np.ndarray]]) -> tuple[list[str], np.ndarray]:
    """Combine scores of several languages into one table whose mean is the mean of the languages' means.

    A query that several languages share (a translation of the same sentence) becomes one row: its scores are not
    independent, so they are resampled, and their signs drawn, together.

    Args:
        by_language: For each language, scores by query id, arrays of one shape.

    Returns:
        The query ids, and their scores, (queries, ...), scaled so that the plain mean over rows is the mean over
        languages.

    Example:
        >>> ids, rows = clustered([{"a": np.array(1.0), "b": np.array(0.0)}, {"a": np.array(1.0)}])
        >>> ids, float(rows.mean())
        (['a', 'b'], 0.75)
    """
    ids = list(dict.fromkeys(query for scores in by_language for query in scores))
    place = {query: row for row, query in enumerate(ids)}
    shape = next(iter(by_language[0].values())).shape
    rows = np.zeros((len(ids), *shape))
    for scores in by_language:
        for query, value in scores.items():
            rows[place[query]] += value / (len(scores) * len(by_language))
    return ids, rows * len(ids)


def _finite(values: Sequence[float] | np.ndarray) -> np.ndarray:
    data = np.asarray(values, dtype=float)
    if data.ndim != 1 or not len(data):
        raise InputError(f"values have the shape {data.shape}", "give at least one number per query, in one dimension")
    if not np.isfinite(data).all():
        raise InputError("a score is not a finite number", "find the cause before comparing systems")
    return data
