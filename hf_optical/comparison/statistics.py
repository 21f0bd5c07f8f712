"""Paired statistics of many pairs of systems on the same queries at once; pure arrays.

The tests are those of :mod:`hf_optical.evaluation.significance`, computed for all pairs with the same random signs and
the same resamples of queries, and a test in which the luck of the seeds counts too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hf_optical.errors import InputError

ALPHA = 0.05
"""A p-value below this is called beyond chance."""
_ROWS = 1000  # resamples held at once


@dataclass(frozen=True)
class PairedTests:
    """What the differences of P pairs of systems on n queries say; all arrays have the shape (P,) but the interval.

    Attributes:
        difference: Mean difference.
        interval: 95 % percentile bootstrap interval over queries, (P, 2).
        p: Two-sided p-value of the paired randomisation test.
        effect_size: Cohen's d of the paired differences; nan where it is unbounded.
    """

    difference: np.ndarray
    interval: np.ndarray
    p: np.ndarray
    effect_size: np.ndarray


def paired_tests(
    differences: np.ndarray, *, confidence: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> PairedTests:
    """Randomisation tests, bootstrap intervals and effect sizes of many paired differences.

    Args:
        differences: Score of one system minus that of the other, (queries, pairs).
        confidence: Of the intervals.
        resamples: Sign patterns, and resamples of the queries; the observed pattern counts as one more.
        seed: Of both.

    Raises:
        InputError: No queries, or a difference that is not finite.

    Example:
        >>> generator = np.random.default_rng(0)
        >>> tests = paired_tests(np.stack([generator.normal(0.5, 1, 200), generator.normal(0, 1, 200)], axis=1))
        >>> bool(tests.p[0] < 0.001 < 0.05 < tests.p[1])
        True
    """
    data = np.asarray(differences, dtype=float)
    if data.ndim != 2 or not data.size or not np.isfinite(data).all():
        raise InputError(f"differences have the shape {data.shape}", "give finite numbers, (queries, pairs)")
    n = len(data)
    generator = np.random.default_rng(seed)
    # Sums equal in theory differ in the last bits: they must count as equal.
    observed = np.abs(data.sum(0)) * (1 - 1e-10) - 1e-10 * np.abs(data).sum(0)
    extreme = np.zeros(data.shape[1], dtype=np.int64)
    for rows in _blocks(resamples):
        signs = generator.integers(0, 2, (rows, n), dtype=np.int8).astype(float) * 2 - 1
        extreme += (np.abs(signs @ data) >= observed).sum(0)
    tail = 50 * (1 - confidence)
    interval = np.percentile(bootstrap_means(data, resamples=resamples, seed=seed), [tail, 100 - tail], axis=0).T
    mean, spread = data.mean(0), data.std(0, ddof=1) if n > 1 else np.zeros(data.shape[1])
    with np.errstate(divide="ignore", invalid="ignore"):
        effect = np.where(spread > 1e-12, mean / spread, np.where(np.abs(mean) < 1e-12, 0.0, np.nan))
    return PairedTests(mean, interval, (extreme + 1) / (resamples + 1), effect)


def bootstrap_means(values: np.ndarray, *, resamples: int = 10_000, seed: int = 0) -> np.ndarray:
    """Means over queries drawn again with replacement, the same draw for every column.

    Args:
        values: (queries, columns).
        resamples: How many times.
        seed: Of the drawing.

    Returns:
        (resamples, columns).
    """
    generator, n = np.random.default_rng(seed + 1), len(values)
    means = []
    for rows in _blocks(resamples):
        drawn = generator.integers(0, n, (rows, n)) + np.arange(rows)[:, None] * n
        counts = np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n)  # how often each query was drawn
        means.append(counts @ values / n)
    return np.concatenate(means)


def seed_aware_p(a: np.ndarray, b: np.ndarray) -> float | None:
    """Two-sided p-value of a difference in which queries *and* seeds are samples.

    The randomisation test asks whether the difference would hold on other queries, with the models as trained. Two
    arms that differ only in the luck of their seeds pass it too often. Here the variance of the mean difference is
    that over queries plus that over seeds (runs of the same seed are paired), with Welch and Satterthwaite's degrees
    of freedom (Biometrics Bulletin, 1946). With three seeds it is a severe test: it can say little of small gains.

    Args:
        a: Scores of one system, (seeds, queries).
        b: Scores of the other; one row (a system without seeds) serves for all seeds of ``a``, and the reverse.

    Returns:
        The p-value; ``None`` with fewer than two seeds.

    Example:
        >>> generator = np.random.default_rng(0)
        >>> a = generator.normal(0.5, 0.1, (3, 100))
        >>> seed_aware_p(a + 0.2, a) < 0.001 < seed_aware_p(a + [[0.2], [0.0], [-0.1]], a)
        True
    """
    from scipy.stats import t

    if len(a) != len(b) and 1 not in (len(a), len(b)):
        seeds = min(len(a), len(b))  # an unfinished comparison: the seeds that both have
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
    return float(2 * t.sf(abs(mean) / np.sqrt(variance), freedom))


def clustered(by_language: Sequence[dict[str, np.ndarray]]) -> tuple[list[str], np.ndarray]:
    """Scores of several languages as one table whose mean is the mean of the languages' means.

    A query that several languages have (a translation of the same sentence) becomes one row: its scores are not
    independent of each other, so they are resampled, and their signs drawn, together.

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


def _blocks(resamples: int) -> Iterator[int]:
    for start in range(0, resamples, _ROWS):
        yield min(_ROWS, resamples - start)
