"""Paired comparison of two systems on the same queries: interval, test, verdict.

The statistics are those of :mod:`hf_optical.evaluation.paired_statistics`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hf_optical.errors import InputError
from hf_optical.evaluation.paired_statistics import bootstrap_interval, effect_size, holm, randomisation_test

if TYPE_CHECKING:
    from hf_optical.evaluation.retrieval import RetrievalScores

FEWEST_QUERIES = 25
_CORRECTED = "p (Holm)"
_LEGEND = (
    f"In brackets stands the 95 % interval of each difference by itself. {_CORRECTED} is corrected for all tests made "
    "together, and the verdict follows it: a tie may have an interval without 0."
)


@dataclass
class Comparison:
    """Result of comparing two systems on the same queries.

    Args:
        set: Retrieval set.
        language: Language of the queries.
        metric: The measure compared.
        n: Number of queries compared.
        mean_a: Mean of the first system.
        mean_b: Mean of the second.
        difference: ``mean_a - mean_b``.
        interval: Bootstrap confidence interval of the difference.
        p: Two-sided p-value of the paired randomisation test.
        p_holm: p-value after Holm's correction over the comparisons made together, which the verdict shows.
        effect_size: Cohen's d of the paired differences; ``None`` if it is unbounded.
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
        scores_a: Scores of the first system, usually the new one.
        scores_b: Scores of the other system.
        metric: The measure.
        alpha: Level of the test; the interval covers ``1 - alpha``.
        seed: Random seed of the resampling.

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

    Arguments and errors are those of :func:`compare`; verdicts use the corrected p-values.

    Returns:
        One comparison per pair, in order.
    """
    differences = [_differences(a, b, metric) for a, b in pairs]
    p_values = [randomisation_test(values, seed=seed) for values in differences]
    return [
        _comparison(a, b, metric, values, (p, corrected), _CORRECTED if len(pairs) > 1 else "p", alpha, seed)
        for (a, b), values, p, corrected in zip(pairs, differences, p_values, holm(p_values), strict=True)
    ]


def legend_of(text: str) -> str:
    """Return the line that explains corrected p-values beside uncorrected intervals, if a text has such verdicts.

    Example:
        >>> legend_of("after against raw: ndcg@10 +0.658 [+0.582, +0.734], p < 0.001, 125 queries; win")
        ''
    """
    return _LEGEND if _CORRECTED in text else ""


def _comparison(
    a: RetrievalScores,
    b: RetrievalScores,
    metric: str,
    values: np.ndarray,
    p_values: tuple[float, float],
    name: str,
    alpha: float,
    seed: int,
) -> Comparison:
    p, p_holm = p_values
    interval = bootstrap_interval(values, confidence=1 - alpha, seed=seed)
    difference, n = float(values.mean()), len(values)
    if n < FEWEST_QUERIES:
        outcome, reading = "inconclusive", f"inconclusive: fewer than {FEWEST_QUERIES} queries are too few to decide"
    elif p_holm >= alpha:
        outcome, reading = "tie", "tie: the difference may be chance"
    elif difference > 0:
        outcome, reading = "win", "win: better beyond chance"
    else:
        outcome, reading = "loss", "loss: worse beyond chance"
    verdict = (
        f"{metric} {difference:+.3f} [{interval[0]:+.3f}, {interval[1]:+.3f}], "
        f"{name} {'< 0.001' if p_holm < 0.001 else f'= {p_holm:.2g}'}, {n} queries; {reading}."
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
            f"{len(alone)} queries of {a.set} were scored for only one system, the first is {alone[0]!r}",
            "score both systems on the same queries",
        )
    known = next(iter(a.per_query.values()), {})
    if metric not in known:
        raise InputError(f"the measure {metric!r} is not among {sorted(known)}", "choose one of these measures")
    return np.array([a.per_query[query][metric] - b.per_query[query][metric] for query in a.per_query])
