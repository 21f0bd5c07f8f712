"""Is a difference between two systems on the same queries more than chance: intervals, tests, words.

Bootstrap intervals over queries (Efron, 1979), the paired randomisation test (Fisher; for retrieval Smucker, Allan
and Carterette, CIKM 2007), Holm's correction for several comparisons (Holm, 1979).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hf_optical.errors import InputError

if TYPE_CHECKING:
    from hf_optical.evaluation.retrieval import RetrievalScores

FEWEST_QUERIES = 25
_EXACT_UP_TO = 13  # 2**13 sign patterns are fewer than the 10,000 drawn otherwise
_BLOCK = 4_000_000  # numbers held at once while resampling: 32 MB


@dataclass
class Comparison:
    """What two systems' scores on the same queries say of each other.

    Args:
        set: Retrieval set.
        language: Language of the queries.
        metric: The measure compared.
        n: Queries compared.
        mean_a: Mean of the first system.
        mean_b: Mean of the second.
        difference: ``mean_a - mean_b``.
        interval: Bootstrap confidence interval of the difference.
        p: Two-sided p-value of the paired randomisation test.
        p_holm: The same after Holm's correction over the comparisons made together.
        effect_size: Cohen's d of the paired differences; ``None`` where it is unbounded.
        outcome: ``"win"``, ``"loss"``, ``"tie"`` or ``"inconclusive"``, seen from the first system.
        verdict: The outcome as a sentence.
    """

    set: str
    language: str
    metric: str
    n: int
    mean_a: float
    mean_b: float
    difference: float
    interval: tuple[float, float]
    p: float
    p_holm: float
    effect_size: float | None
    outcome: str
    verdict: str


def bootstrap_interval(
    values: Sequence[float] | np.ndarray, *, confidence: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of a mean over queries.

    Args:
        values: One number per query, shape ``(n,)``.
        confidence: Coverage wanted.
        resamples: How many times the queries are drawn again, with replacement.
        seed: Of the drawing.

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
    generator = np.random.default_rng(seed)
    rows = max(1, _BLOCK // len(data))
    means = [
        data[generator.integers(0, len(data), (min(rows, resamples - first), len(data)))].mean(axis=1)
        for first in range(0, resamples, rows)
    ]
    tail = 50 * (1 - confidence)
    low, high = np.percentile(np.concatenate(means), [tail, 100 - tail])
    return float(low), float(high)


def randomisation_test(
    differences: Sequence[float] | np.ndarray, *, permutations: int = 10_000, seed: int = 0
) -> float:
    """Two-sided paired randomisation test: how often random signs give a mean at least as far from zero.

    All ``2**n`` sign patterns are tried where they are fewer than about 10,000; else ``permutations`` of them are
    drawn, and the observed one counted among them, so that p is never zero (Phipson and Smyth, 2010).

    Args:
        differences: Score of one system minus the other, per query, shape ``(n,)``.
        permutations: Sign patterns drawn.
        seed: Of the drawing.

    Returns:
        The p-value, in ``(0, 1]``.

    Raises:
        InputError: If there are no differences or one is not finite.

    Example:
        >>> randomisation_test([1.0, 1.0, 1.0])  # 2 of 8 patterns are as extreme
        0.25
    """
    # Where both systems agree a sign changes nothing.
    data = _finite(differences)
    data = data[data != 0]
    n = len(data)
    if n == 0:
        return 1.0
    # Sums equal in theory differ in the last bits: they must count as equal.
    observed = abs(data.sum()) * (1 - 1e-12) - 1e-12 * np.abs(data).sum()
    if n <= _EXACT_UP_TO:
        signs = 1 - 2 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
        return float(np.mean(np.abs(signs @ data) >= observed))
    generator = np.random.default_rng(seed)
    rows = max(1, _BLOCK // n)
    extreme = 0
    for first in range(0, permutations, rows):
        signs = generator.integers(0, 2, (min(rows, permutations - first), n), dtype=np.int8) * 2 - 1
        extreme += int((np.abs(signs @ data) >= observed).sum())
    return (extreme + 1) / (permutations + 1)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down correction: p-values that control the chance of any false finding among them.

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


def effect_size(differences: Sequence[float] | np.ndarray) -> float | None:
    """Cohen's d of paired differences: their mean over their standard deviation.

    Args:
        differences: Shape ``(n,)``.

    Returns:
        The effect; 0 where every difference is zero, ``None`` where all are the same other number.

    Example:
        >>> round(effect_size([1.0, 0.0, 1.0, 0.0]), 3)
        0.866
    """
    data = _finite(differences)
    spread = data.std(ddof=1) if len(data) > 1 else 0.0
    if spread > 1e-12:
        return float(data.mean() / spread)
    return 0.0 if abs(data.mean()) < 1e-12 else None


def compare(
    scores_a: RetrievalScores,
    scores_b: RetrievalScores,
    metric: str = "ndcg@10",
    *,
    alpha: float = 0.05,
    seed: int = 0,
) -> Comparison:
    """Compare two systems on the same queries of one set.

    Args:
        scores_a: Scores of the system that one would like to win.
        scores_b: Scores of the other.
        metric: The measure.
        alpha: Level of the test; the interval covers ``1 - alpha``.
        seed: Of the resampling.

    Returns:
        The comparison, ``p_holm`` equal to ``p``; see :func:`compare_all` for several.

    Raises:
        InputError: If the queries differ, or the measure is unknown.

    Example:
        .. code-block:: python

            print(compare(after, raw, "mrr@10").verdict)
    """
    return compare_all([(scores_a, scores_b)], metric, alpha=alpha, seed=seed)[0]


def compare_all(
    pairs: Sequence[tuple[RetrievalScores, RetrievalScores]],
    metric: str = "ndcg@10",
    *,
    alpha: float = 0.05,
    seed: int = 0,
) -> list[Comparison]:
    """Compare several pairs of systems, with Holm's correction over all of them.

    Arguments and errors as in :func:`compare`; verdicts use the corrected p-values.

    Returns:
        One comparison per pair, in order.
    """
    differences = [_differences(a, b, metric) for a, b in pairs]
    p_values = [randomisation_test(values, seed=seed) for values in differences]
    return [
        _comparison(a, b, metric, values, p, corrected, alpha, seed)
        for (a, b), values, p, corrected in zip(pairs, differences, p_values, holm(p_values), strict=True)
    ]


def _comparison(
    a: RetrievalScores,
    b: RetrievalScores,
    metric: str,
    values: np.ndarray,
    p: float,
    p_holm: float,
    alpha: float,
    seed: int,
) -> Comparison:
    interval = bootstrap_interval(values, confidence=1 - alpha, seed=seed)
    difference, n = float(values.mean()), len(values)
    if n < FEWEST_QUERIES:
        outcome, reading = "inconclusive", f"inconclusive: fewer than {FEWEST_QUERIES} queries decide nothing"
    elif p_holm >= alpha:
        outcome, reading = "tie", "tie: the difference may be chance"
    elif difference > 0:
        outcome, reading = "win", "win: better beyond chance"
    else:
        outcome, reading = "loss", "loss: worse beyond chance"
    verdict = (
        f"{metric} {difference:+.3f} [{interval[0]:+.3f}, {interval[1]:+.3f}], "
        f"p = {p_holm:.2g}, {n} queries; {reading}."
    )
    return Comparison(
        set=a.set,
        language=a.language,
        metric=metric,
        n=n,
        mean_a=_mean(a, metric),
        mean_b=_mean(b, metric),
        difference=difference,
        interval=interval,
        p=p,
        p_holm=p_holm,
        effect_size=effect_size(values),
        outcome=outcome,
        verdict=verdict,
    )


def _mean(system: RetrievalScores, metric: str) -> float:
    return float(np.mean([scores[metric] for scores in system.per_query.values()]))


def _differences(a: RetrievalScores, b: RetrievalScores, metric: str) -> np.ndarray:
    if set(a.per_query) != set(b.per_query):
        alone = sorted(set(a.per_query) ^ set(b.per_query))
        raise InputError(
            f"{len(alone)} queries of {a.set} were scored for one system only, the first is {alone[0]!r}",
            "score both systems on the same queries",
        )
    known = next(iter(a.per_query.values()), {})
    if metric not in known:
        raise InputError(f"the measure {metric!r} is not among {sorted(known)}", "choose one of these")
    return np.array([a.per_query[query][metric] - b.per_query[query][metric] for query in a.per_query])


def _finite(values: Sequence[float] | np.ndarray) -> np.ndarray:
    data = np.asarray(values, dtype=float)
    if data.ndim != 1 or not len(data):
        raise InputError(f"values have the shape {data.shape}", "give at least one number per query, in one row")
    if not np.isfinite(data).all():
        raise InputError("a score is not a finite number", "find out why before comparing systems")
    return data
