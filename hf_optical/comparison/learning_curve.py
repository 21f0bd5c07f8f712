"""Quality against the number of sentence pairs: a fitted curve, and what twice as many pairs would bring."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hf_optical.errors import InputError
from hf_optical.evaluation.paired_statistics import bootstrap_means

_EXPONENTS = np.concatenate([[0.0], np.geomspace(0.02, 2.0, 201)])  # 0 stands for the logarithm, the limit of c -> 0
_FEWEST_FOR_A_POWER = 4


@dataclass(frozen=True)
class LearningCurve:
    """A fitted curve: ``score = a - b * n ** -c``, or ``score = a + b * log2(n)`` where ``c`` is 0.

    Attributes:
        sizes: Numbers of sentence pairs, rising.
        means: Mean score at each.
        kind: ``"power"`` or ``"logarithm"``.
        a: See above.
        b: See above.
        c: See above.
        doubling: Score that twice the largest size would add, by the curve.
        doubling_interval: Its 95 % bootstrap interval, queries and seeds drawn again.
    """

    sizes: tuple[int, ...]
    means: tuple[float, ...]
    kind: Literal["power", "logarithm"]
    a: float
    b: float
    c: float
    doubling: float
    doubling_interval: tuple[float, float]

    def at(self, n: np.ndarray | float) -> np.ndarray:
        """The curve's score at ``n`` pairs, between 0 and 1."""
        return np.clip(_design(np.asarray(n, dtype=float), self.c) @ [self.a, self.b], 0, 1)


def fit_learning_curve(scores: Mapping[int, np.ndarray], *, resamples: int = 1000, seed: int = 0) -> LearningCurve:
    """Fit a curve to scores at several sizes of the bitext.

    With at least four sizes a power law, the usual shape of learning curves (Viering and Loog, The Shape of Learning
    Curves, 2021); with fewer a straight line in the logarithm. Least squares: for each exponent of a grid the other two
    are a linear fit, so that there is nothing to start from and no fit that fails.

    Args:
        scores: For each number of pairs, scores, (seeds, queries), the queries the same at all sizes.
        resamples: Of the bootstrap: queries are drawn again for all sizes together, seeds for each size.
        seed: Of the drawing.

    Raises:
        InputError: Fewer than two sizes.

    Example:
        >>> scores = {n: np.full((1, 9), 0.8 - 2 * n**-0.5) for n in (100, 400, 1600, 6400)}
        >>> curve = fit_learning_curve(scores)
        >>> curve.kind, round(curve.a, 2), round(curve.c, 1), round(curve.doubling, 3)
        ('power', 0.8, 0.5, 0.007)
    """
    sizes = sorted(scores)
    if len(sizes) < 2:
        raise InputError(f"there are {len(sizes)} sizes", "give scores of at least two sizes of the bitext")
    exponents = _EXPONENTS if len(sizes) >= _FEWEST_FOR_A_POWER else _EXPONENTS[:1]
    n = np.array(sizes, dtype=float)
    means = np.array([scores[size].mean() for size in sizes])
    parameters = _fit(n, means[None], exponents)[0]
    drawn = _fit(n, _resampled_means([scores[size] for size in sizes], resamples, seed), exponents)
    gains = [_gain(row, n[-1]) for row in drawn]
    low, high = np.percentile(gains, [2.5, 97.5])
    a, b, c = (float(value) for value in parameters)
    return LearningCurve(
        sizes=tuple(sizes),
        means=tuple(means.tolist()),
        kind="power" if c > 0 else "logarithm",
        a=a,
        b=b,
        c=c,
        doubling=_gain(parameters, n[-1]),
        doubling_interval=(float(low), float(high)),
    )


def doubling_sentence(curve: LearningCurve, method: str, language: str, metric: str) -> str:
    """Describe in a sentence what more pairs would bring.

    Example:
        >>> curve = LearningCurve((250, 1000), (0.5, 0.6), "logarithm", 0.1, 0.05, 0.0, 0.05, (0.03, 0.07))
        >>> doubling_sentence(curve, "ot", "Swahili", "nDCG@10")
        'Swahili, ot: doubling the bitext (1,000 to 2,000 pairs) would add about 0.050 nDCG@10 [0.030, 0.070].'
    """
    low, high = curve.doubling_interval
    largest = curve.sizes[-1]
    start = f"{language}, {method}: doubling the bitext ({largest:,} to {2 * largest:,} pairs) would"
    if low <= 0 <= high:
        return f"{start} change {metric} by about {curve.doubling:+.3f} [{low:+.3f}, {high:+.3f}]: perhaps nothing."
    verb, sign = ("add", 1) if curve.doubling > 0 else ("cost", -1)
    low, high = sorted((sign * low, sign * high))
    return f"{start} {verb} about {abs(curve.doubling):.3f} {metric} [{low:.3f}, {high:.3f}]."


def _design(n: np.ndarray, exponent: float) -> np.ndarray:
    basis = np.log2(n) if exponent == 0 else -(n**-exponent)
    return np.stack([np.ones_like(n), basis], axis=-1)


def _fit(n: np.ndarray, means: np.ndarray, exponents: np.ndarray) -> np.ndarray:
    """The best (a, b, c) of each row of means, (rows, 3)."""
    best = np.full((len(means), 3), np.nan)
    error = np.full(len(means), np.inf)
    for exponent in exponents:
        design = _design(n, exponent)
        solution = means @ np.linalg.pinv(design).T
        residual = ((solution @ design.T - means) ** 2).sum(axis=1)
        # A limit above 1 is no score; the logarithm, which has none, is taken as it is.
        fits = (residual < error - 1e-15) & ((exponent == 0) | (solution[:, 0] <= 1))
        best[fits] = np.column_stack([solution[fits], np.full(fits.sum(), exponent)])
        error[fits] = residual[fits]
    return best


def _gain(parameters: np.ndarray, largest: float) -> float:
    a, b, c = parameters
    now, then = np.clip(_design(np.array([largest, 2 * largest]), c) @ [a, b], 0, 1)
    return float(then - now)


def _resampled_means(scores: list[np.ndarray], resamples: int, seed: int) -> np.ndarray:
    """Mean score at each size, (resamples, sizes)."""
    generator = np.random.default_rng(seed)
    columns = np.concatenate(scores).T  # (queries, seeds of all sizes)
    drawn = bootstrap_means(columns, resamples=resamples, seed=seed)
    means, start = [], 0
    for rows in scores:
        of_size = drawn[:, start : start + len(rows)]
        chosen = generator.integers(0, len(rows), of_size.shape)
        means.append(np.take_along_axis(of_size, chosen, axis=1).mean(axis=1))
        start += len(rows)
    return np.stack(means, axis=1)
