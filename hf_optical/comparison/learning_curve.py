"""Quality against the number of sentence pairs: what was measured, and a saturating curve only where it predicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hf_optical.errors import InputError
from hf_optical.evaluation.paired_statistics import bootstrap_means

__all__ = ["LearningCurve", "SaturatingFit", "bitext_sentence", "fit_learning_curve"]

_EXPONENTS = np.geomspace(0.02, 2.0, 201)
_NEGLIGIBLE = 0.002
_FEWEST = 4  # sizes: three determine the curve, and the largest is predicted from the others


@dataclass(frozen=True)
class SaturatingFit:
    """A curve ``score = a - b * n ** -c`` through scores at ``n`` pairs, which rises to ``a`` and no further.

    Attributes:
        a: Score with pairs without end, at most 1.
        b: See above.
        c: See above, above 0.
        miss: What the same curve, fitted without the largest size, says of that size, minus what was measured there.
        miss_interval: Its 95 % bootstrap interval, queries and seeds drawn again.
        doubling: Score that twice the largest size would add, by the curve.
        doubling_interval: Its 95 % bootstrap interval.
    """

    a: float
    b: float
    c: float
    miss: float
    miss_interval: tuple[float, float]
    doubling: float
    doubling_interval: tuple[float, float]

    @property
    def predicts_largest(self) -> bool:
        """Whether the curve without the largest size is right about it: to .002, or as far as chance lets one see."""
        return abs(self.miss) <= _NEGLIGIBLE or self.miss_interval[0] <= 0 <= self.miss_interval[1]

    def at(self, n: np.ndarray | float) -> np.ndarray:
        """The curve's score at ``n`` pairs, between 0 and 1."""
        return _at(np.array([self.a, self.b, self.c]), np.asarray(n, dtype=float))


@dataclass(frozen=True)
class LearningCurve:
    """Scores at several sizes of the bitext.

    Attributes:
        sizes: Numbers of sentence pairs, rising.
        means: Mean score at each.
        last_gain: Score that the largest size has brought beyond the one before it, as measured.
        last_interval: Its 95 % bootstrap interval, queries and seeds drawn again.
        fit: A saturating curve, from four sizes on.
    """

    sizes: tuple[int, ...]
    means: tuple[float, ...]
    last_gain: float
    last_interval: tuple[float, float]
    fit: SaturatingFit | None = None


def fit_learning_curve(scores: Mapping[int, np.ndarray], *, resamples: int = 1000, seed: int = 0) -> LearningCurve:
    """Compare sizes of the bitext and, from four sizes on, fit a power law with a limit.

    A straight line in the logarithm of the pairs has no limit: through 250, 1,000 and 5,645 Tagalog pairs it promises
    more than there is room for. So nothing is fitted to three sizes, and a curve is tested on the largest size, which
    it must predict from the others. The power law is the usual shape of learning curves (Viering and Loog, The Shape
    of Learning Curves, 2021). Least squares: for each exponent of a grid the other two are a linear fit, so that there
    is nothing to start from and no fit that fails.

    Args:
        scores: For each number of pairs, scores, (seeds, queries), the queries the same at all sizes.
        resamples: Of the bootstrap: queries are drawn again for all sizes together, seeds for each size.
        seed: Of the drawing.

    Raises:
        InputError: Fewer than two sizes.

    Example:
        >>> scores = {n: np.full((1, 9), 0.8 - 2 * n**-0.5) for n in (100, 400, 1600, 6400)}
        >>> curve = fit_learning_curve(scores)
        >>> round(curve.last_gain, 3), round(curve.fit.a, 2), round(curve.fit.c, 1), round(curve.fit.doubling, 3)
        (0.025, 0.8, 0.5, 0.007)
        >>> curve.fit.predicts_largest
        True
    """
    sizes = sorted(scores)
    if len(sizes) < 2:
        raise InputError(f"there are {len(sizes)} sizes", "give scores of at least two sizes of the bitext")
    n = np.array(sizes, dtype=float)
    means = np.array([scores[size].mean() for size in sizes])
    drawn = _resampled_means([scores[size] for size in sizes], resamples, seed)
    return LearningCurve(
        sizes=tuple(sizes),
        means=tuple(means.tolist()),
        last_gain=float(means[-1] - means[-2]),
        last_interval=_interval(drawn[:, -1] - drawn[:, -2]),
        fit=_saturating(n, means, drawn) if len(sizes) >= _FEWEST else None,
    )


def bitext_sentence(curve: LearningCurve, method: str, language: str, metric: str) -> str:
    """Say in words what more pairs have brought, and what a curve says of still more where it has proved itself.

    Example:
        >>> curve = LearningCurve((250, 1000), (0.5, 0.6), 0.1, (0.08, 0.12))
        >>> print(bitext_sentence(curve, "ot", "Swahili", "nDCG@10"))
        Swahili, ot: from 250 to 1,000 pairs nDCG@10 rose by .100 [.080, .120]; 2 sizes say nothing of still more pairs.
    """
    before, largest = curve.sizes[-2:]
    low, high = curve.last_interval
    start = f"{language}, {method}: from {before:,} to {largest:,} pairs {metric} "
    if low <= 0 <= high:
        start += (
            f"did not change beyond chance, {_short(curve.last_gain, '+')} [{_short(low, '+')}, {_short(high, '+')}]"
        )
    else:
        verb, sign = ("rose", 1) if curve.last_gain > 0 else ("fell", -1)
        low, high = sorted((sign * low, sign * high))
        start += f"{verb} by {_short(abs(curve.last_gain))} [{_short(low)}, {_short(high)}]"
    if curve.fit is None:
        return f"{start}; {len(curve.sizes)} sizes say nothing of still more pairs."
    fit = curve.fit
    if not fit.predicts_largest:
        missed = f"{_short(fit.miss, '+')} [{_short(fit.miss_interval[0], '+')}, {_short(fit.miss_interval[1], '+')}]"
        return (
            f"{start}. A curve through the smaller sizes misses the largest by {missed}: nothing is said of still more."
        )
    low, high = fit.doubling_interval
    gain = f"{_short(fit.doubling, '+')} [{_short(low, '+')}, {_short(high, '+')}]"
    return (
        f"{start}. A curve that levels off, right about the largest size when fitted without it, puts twice as many at "
        f"{gain}: an extrapolation, pairs like these supposed."
    )


def _saturating(n: np.ndarray, means: np.ndarray, drawn: np.ndarray) -> SaturatingFit:
    parameters, resampled = _fit(n, means[None])[0], _fit(n, drawn)
    without, resampled_without = _fit(n[:-1], means[None, :-1])[0], _fit(n[:-1], drawn[:, :-1])
    largest = n[-1]
    doubled = [float(_at(row, 2 * largest) - _at(row, largest)) for row in resampled]
    missed = [
        float(_at(row, largest)) - measured for row, measured in zip(resampled_without, drawn[:, -1], strict=True)
    ]
    a, b, c = (float(value) for value in parameters)
    return SaturatingFit(
        a=a,
        b=b,
        c=c,
        miss=float(_at(without, largest)) - float(means[-1]),
        miss_interval=_interval(missed),
        doubling=float(_at(parameters, 2 * largest) - _at(parameters, largest)),
        doubling_interval=_interval(doubled),
    )


def _at(parameters: np.ndarray, n: np.ndarray | float) -> np.ndarray:
    a, b, c = parameters
    return np.clip(a - b * np.asarray(n, dtype=float) ** -c, 0, 1)


def _fit(n: np.ndarray, means: np.ndarray) -> np.ndarray:
    """The best (a, b, c) of each row of means, (rows, 3)."""
    best = np.full((len(means), 3), np.nan)
    error = np.full(len(means), np.inf)
    for exponent in _EXPONENTS[::-1]:  # the steepest first: it is kept where no limit is a score
        design = np.stack([np.ones_like(n), -(n**-exponent)], axis=-1)
        solution = means @ np.linalg.pinv(design).T
        residual = ((solution @ design.T - means) ** 2).sum(axis=1)
        allowed = (solution[:, 0] <= 1) | (exponent == _EXPONENTS[-1])  # a limit above 1 is no score
        fits = (residual < error - 1e-15) & allowed
        best[fits] = np.column_stack([solution[fits], np.full(fits.sum(), exponent)])
        error[fits] = residual[fits]
    return best


def _interval(values: np.ndarray | list[float]) -> tuple[float, float]:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def _short(value: float, sign: str = "") -> str:
    """A score with three digits and without the zero before the point."""
    return f"{value:{sign}.3f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:{sign}.3f}"


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
