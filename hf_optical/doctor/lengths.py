"""Unusual ratios of lengths, learnt robustly from the file."""

from __future__ import annotations

import numpy as np

__all__ = ["length_scores"]

_OFFSET = 4.0  # characters: the ratio of two very short texts says little
_LEAST_BIN = 400
_LEAST_LEARNED = 20
_LEAST_SPREAD = 0.15


def length_scores(
    source: np.ndarray, translation: np.ndarray, typical: np.ndarray | None = None
) -> tuple[np.ndarray, float, float]:
    """Return how unusual each ratio of lengths is, in robust standard deviations.

    The logarithm of the ratio is compared with the median of pairs with as long an English side; its spread is 1.4826
    times the median absolute deviation (Rousseeuw and Croux, 1993, https://doi.org/10.1080/01621459.1993.10476408),
    since the outliers looked for would swell a standard deviation.

    Args:
        source: Visible characters of the English texts, ``(n,)``; pairs with a zero are not scored.
        translation: Of the translations, likewise.
        typical: Pairs from which the usual ratio is learned, bool, ``(n,)``; all by default. Copies and repeated pairs
            would make the file look more regular than its translations are.

    Returns:
        The scores, ``(n,)``, positive where the translation is too long; the median ratio of all pairs; the spread of
        its logarithm.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> english = rng.integers(40, 120, size=500)
        >>> other = np.round(english * rng.normal(1.1, 0.1, size=500))
        >>> other[7] *= 4
        >>> scores, ratio, _ = length_scores(english, other)
        >>> int(scores.argmax()), round(ratio, 1)
        (7, 1.1)
    """
    scores = np.zeros(len(source))
    usable = np.flatnonzero((source > 0) & (translation > 0))
    if not len(usable):
        return scores, float("nan"), float("nan")
    left, right = source[usable] + _OFFSET, translation[usable] + _OFFSET
    ratio = np.log(right / left)
    # By the English side alone: by both, the outliers would gather in a group of their own and look usual there.
    order = np.argsort(left, kind="stable")
    learned = np.ones(len(usable), dtype=bool)
    if typical is not None and typical[usable].sum() >= _LEAST_LEARNED:
        learned = typical[usable]
    for part in np.array_split(order, max(1, min(10, len(order) // _LEAST_BIN))):
        known = ratio[part][learned[part]] if learned[part].sum() >= _LEAST_LEARNED else ratio[part]
        centre = np.median(known)
        deviation = 1.4826 * float(np.median(np.abs(known - centre)))
        spread = max(_LEAST_SPREAD, deviation)
        scores[usable[part]] = (ratio[part] - centre) / spread
    middle = float(np.median(ratio[learned]))
    return scores, float(np.exp(middle)), 1.4826 * float(np.median(np.abs(ratio[learned] - middle)))
