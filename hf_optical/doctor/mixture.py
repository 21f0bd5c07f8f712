"""Unsupervised detection of random pairs, by comparison of a file with a shuffled copy of itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Mixture", "fit_separator", "mixture"]

_BINS = 20


@dataclass(frozen=True)
class Mixture:
    """Mixture of true pairs and random pairs, fitted to scores.

    Attributes:
        share: Estimated share of random pairs, from 0 to 1.
        probability: Probability that each pair is a random one, ``(n,)``, which never increases with the score.
        auc: Estimated probability that a true pair has a higher score than a shuffled one.
    """

    share: float
    probability: np.ndarray
    auc: float


def mixture(scores: np.ndarray, shuffled: np.ndarray) -> Mixture:
    """Estimate the probability of each pair to be a random one.

    The share of random pairs is estimated like the proportion of true null hypotheses (Storey, 2002,
    https://doi.org/10.1111/1467-9868.00346): in any range of scores it is at most the share of given pairs in the range
    divided by the share of shuffled pairs there. The smallest of these bounds is taken. Loose translations with scores
    as low as those of random pairs therefore count as random.

    Args:
        scores: Scores of the given pairs, which are high for true pairs, ``(n,)``.
        shuffled: Scores of random pairs from the same file, ``(m,)``.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> given = np.concatenate([rng.normal(4, 1, 900), rng.normal(0, 1, 100)])
        >>> found = mixture(given, rng.normal(0, 1, 1000))
        >>> 0.07 < found.share < 0.13, bool(found.probability[0] < 0.5), round(found.auc, 1)
        (True, True, 1.0)
    """
    edges = np.unique(np.quantile(shuffled, np.linspace(0, 1, _BINS + 1)[1:-1]))
    random = np.bincount(np.searchsorted(edges, shuffled), minlength=len(edges) + 1) / len(shuffled)
    given = np.bincount(np.searchsorted(edges, scores), minlength=len(edges) + 1) / max(len(scores), 1)
    # The bounds are taken from the lower 15 to 40 % of the shuffled scores: higher ranges also contain true pairs, and
    # lower ones have too few pairs.
    below_random, below_given = np.cumsum(random), np.cumsum(given)
    usable = (below_random >= 0.15) & (below_random <= 0.4)
    share = float(np.clip((below_given[usable] / below_random[usable]).min(), 0, 1)) if usable.any() else 0.0
    local = np.clip(share * random / np.maximum(given, 1e-9), 0, 1)
    local = np.maximum.accumulate(local[::-1])[::-1]  # a lower score never gets a lower probability
    ranks = np.searchsorted(np.sort(shuffled), scores, side="left")
    # The random pairs among the given ones rank above a shuffled pair half of the time; the rest is due to true pairs.
    auc = (float(ranks.mean() / len(shuffled)) - share / 2) / max(1 - share, 1e-3)
    return Mixture(share, local[np.searchsorted(edges, scores)], float(np.clip(auc, 0, 1)))


def fit_separator(given: np.ndarray, shuffled: np.ndarray, steps: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Fit weights that separate given from shuffled pairs, by logistic regression with a small L2 penalty.

    Args:
        given: Features of pairs, ``(n, k)``.
        shuffled: Features of shuffled pairs, ``(m, k)``.
        steps: Maximal number of Newton steps. Default 12. The iteration ends earlier once the weights do not change.

    Returns:
        Centres ``(k,)`` and weights ``(k,)``, such that the score of features x is ``(x - centres) @ weights``.
    """
    values = np.concatenate([given, shuffled])
    centre, spread = values.mean(axis=0), values.std(axis=0) + 1e-6
    design = np.column_stack([(values - centre) / spread, np.ones(len(values))])
    labels = np.r_[np.ones(len(given)), np.zeros(len(shuffled))]
    weights = np.zeros(design.shape[1])
    for _ in range(steps):
        probability = 1 / (1 + np.exp(-np.clip(design @ weights, -30, 30)))
        curvature = design * (probability * (1 - probability))[:, None]
        hessian = design.T @ curvature + np.eye(len(weights))
        step = np.linalg.solve(hessian, design.T @ (labels - probability) - weights)
        weights += step
        if np.abs(step).max() < 1e-9:
            break
    return centre, weights[:-1] / spread
