"""Detection of unusual length ratios, compared with a robust estimate from the same file."""

from __future__ import annotations

import numpy as np

__all__ = ["length_scores"]

_OFFSET = 4.0  # characters added to both lengths, because ratios of very short texts vary much
_LEAST_BIN = 400  # least number of pairs of similar length that are compared with each other
_LEAST_LEARNED = 20  # least number of typical pairs to learn from
_LEAST_SPREAD = 0.15  # least spread of the logarithm of the ratio


def length_scores(
    source: np.ndarray, translation: np.ndarray, typical: np.ndarray | None = None
) -> tuple[np.ndarray, float, float]:
    """Compute how unusual each length ratio is, in robust standard deviations.

    The logarithm of the ratio is compared with the median over pairs with an English side of similar length. The spread
    is 1.4826 times the median absolute deviation (Rousseeuw and Croux, 1993,
    https://doi.org/10.1080/01621459.1993.10476408), because outliers would enlarge a standard deviation.

    Args:
        source: Visible characters of the English texts, ``(n,)``. Pairs with a zero are not scored.
        translation: Visible characters of the translations, ``(n,)``.
        typical: Pairs from which the usual ratio is learnt, bool ``(n,)``; all by default. Copies and repeated pairs
            should be excluded, because their ratios are more regular than those of translations.

    Returns:
        The scores, ``(n,)``, which are positive if the translation is too long; the median ratio; the spread of its
        logarithm.

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
    # Pairs are grouped by the English length only. By both lengths, outliers would form a group of their own and look
    # usual there.
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
