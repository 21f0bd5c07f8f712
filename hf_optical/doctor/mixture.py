"""Detection of pairs that look random, without labels: the file compared with a shuffled copy of itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Mixture", "fit_separator", "mixture"]

_BINS = 20


@dataclass(frozen=True)
class Mixture:
    """Scores of the pairs as a mixture of true pairs and random ones.

    Attributes:
        share: Estimated share of random pairs.
        probability: That each pair is a random one, ``(n,)``; never rises with the score.
        auc: Probability, as estimated, that a true pair scores above a shuffled one: how well the score tells them
            apart.
    """

    share: float
    probability: np.ndarray
    auc: float


def mixture(scores: np.ndarray, shuffled: np.ndarray) -> Mixture:
    """Estimate for each pair how probably it is a random one.

    The share of random pairs is estimated as false discoveries are (Storey, 2002,
    https://doi.org/10.1111/1467-9868.00346): wherever shuffled pairs lie, it is at most the share of given pairs that
    lie there, divided by that of shuffled ones. The smallest such bound is taken, so loose translations below it
    count as random: they share as little.

    Args:
        scores: Of the pairs as given, high for true ones, ``(n,)``.
        shuffled: Of random pairs from the same file, ``(m,)``.

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
    # Bounds from the lower part only: above, true pairs lie too. A seventh at least, against chance.
    below_random, below_given = np.cumsum(random), np.cumsum(given)
    usable = (below_random >= 0.15) & (below_random <= 0.4)
    share = float(np.clip((below_given[usable] / below_random[usable]).min(), 0, 1)) if usable.any() else 0.0
    local = np.clip(share * random / np.maximum(given, 1e-9), 0, 1)
    local = np.maximum.accumulate(local[::-1])[::-1]  # a lower score is no less suspect
    ranks = np.searchsorted(np.sort(shuffled), scores, side="left")
    # Random pairs among the given ones rank above a shuffled one half of the time; true pairs do the rest.
    auc = (float(ranks.mean() / len(shuffled)) - share / 2) / max(1 - share, 1e-3)
    return Mixture(share, local[np.searchsorted(edges, scores)], float(np.clip(auc, 0, 1)))


def fit_separator(given: np.ndarray, shuffled: np.ndarray, steps: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Weights that tell given pairs from shuffled ones: logistic regression by Newton's method, slightly shrunk.

    Args:
        given: Features of pairs, ``(n, k)``.
        shuffled: Features of shuffled pairs, ``(m, k)``.
        steps: Newton steps at most; fewer where the weights stand still.

    Returns:
        Centres ``(k,)`` and weights ``(k,)``: the score of features x is ``(x - centres) @ weights``.
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
