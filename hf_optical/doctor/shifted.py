"""Detection of shifted parts of a file, in which translations stand some rows above or below their sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Shift", "find_shifts", "shifted_rows"]

_WINDOW, _STEP = 100, 50
_OFFSETS = (1, -1, 2, -2, 3, -3)
# Least correlation at the offset, and least difference from that without one. For 100 random pairs, correlations are
# within 0.2 of zero.
_LEAST, _AHEAD = 0.5, 0.35


@dataclass(frozen=True)
class Shift:
    """Run of rows whose translations belong to other rows.

    Attributes:
        start: Index of the first row.
        stop: Index after the last row.
        offset: Distance of the translations: that of row ``i`` is in row ``i + offset``.
        fit: Correlation of the lengths of both sides at this offset.
        own: Correlation of the lengths without an offset.
    """

    start: int
    stop: int
    offset: int
    fit: float
    own: float


def find_shifts(source: np.ndarray, translation: np.ndarray) -> list[Shift]:
    """Find runs of rows in which the lengths of the translations correlate with those of neighbouring sentences.

    Long sentences have long translations in every language. In windows of 100 rows the logarithms of both lengths are
    correlated, without an offset and with offsets of up to three rows in both directions. Two overlapping windows must
    have the same best offset.

    Args:
        source: Characters of the English texts, ``(n,)``; 0 for unreadable ones.
        translation: Characters of the translations, ``(n,)``.

    Returns:
        The shifted runs in order. Files of fewer than 150 rows have none, because two windows do not fit in.

    Example:
        >>> lengths = np.random.default_rng(0).integers(5, 200, 600)
        >>> moved = np.concatenate([lengths[:300], np.roll(lengths[300:], 1)])
        >>> [(shift.offset, round(shift.fit, 2)) for shift in find_shifts(lengths, moved)]
        [(1, 1.0)]
    """
    left, right = np.log1p(source.astype(np.float64)), np.log1p(translation.astype(np.float64))
    found = [_best(left, right, start) for start in range(0, len(left) - _WINDOW + 1, _STEP)]
    shifts: list[Shift] = []
    for place, one in enumerate(found):
        neighbours = [other for other in found[max(place - 1, 0) : place + 2] if other is not None and other is not one]
        if one is None or all(other.offset != one.offset for other in neighbours):
            continue
        if shifts and shifts[-1].offset == one.offset and one.start <= shifts[-1].stop:
            last = shifts[-1]
            shifts[-1] = Shift(last.start, one.stop, one.offset, min(last.fit, one.fit), max(last.own, one.own))
        else:
            shifts.append(one)
    return [_whole(shift, left, right) for shift in shifts]


def shifted_rows(lengths: np.ndarray, numbers: Sequence[int] | np.ndarray) -> tuple[np.ndarray, list[str], list[str]]:
    """Find the rows of a file in shifted runs and describe them.

    Args:
        lengths: Characters of both sides, ``(n, 2)``; 0 for unreadable texts.
        numbers: The rows' numbers in the file, ``(n,)``.

    Returns:
        Indices of the rows, a description of each, and a warning for every run.
    """
    rows: list[np.ndarray] = []
    said: list[str] = []
    warnings = []
    for shift in find_shifts(lengths[:, 0], lengths[:, 1]):
        rows.append(np.arange(shift.start, shift.stop))
        where = f"the row {abs(shift.offset)} {'below' if shift.offset > 0 else 'above'}"
        said += [f"in a shifted part, whose translations stand in {where}"] * (shift.stop - shift.start)
        warnings.append(
            f"rows {numbers[shift.start]} to {numbers[shift.stop - 1]} are shifted: their translations stand in "
            f"{where} (the lengths of both sides correlate by {shift.fit:.2f} there, but by {shift.own:.2f} in the "
            "same row)."
        )
    return np.concatenate(rows) if rows else np.zeros(0, dtype=np.int64), said, warnings


def _best(left: np.ndarray, right: np.ndarray, start: int) -> Shift | None:
    """Return the best offset of one window, if its correlation is clearly higher than without an offset."""
    stop = start + _WINDOW
    own = _correlation(left, right, start, stop, 0)
    fits = {offset: _correlation(left, right, start, stop, offset) for offset in _OFFSETS}
    offset = max(fits, key=fits.__getitem__)
    if fits[offset] < _LEAST or fits[offset] < own + _AHEAD:
        return None
    return Shift(start, stop, offset, fits[offset], own)


def _whole(shift: Shift, left: np.ndarray, right: np.ndarray) -> Shift:
    """Compute the correlations over the whole run, which is extended to the end of the file if that is near."""
    stop = len(left) if len(left) - shift.stop < _STEP else shift.stop
    fit = _correlation(left, right, shift.start, stop, shift.offset)
    return Shift(shift.start, stop, shift.offset, fit, _correlation(left, right, shift.start, stop, 0))


def _correlation(left: np.ndarray, right: np.ndarray, start: int, stop: int, offset: int) -> float:
    """Correlate the lengths of both sides at an offset; 0 if too few rows are readable or lengths do not vary."""
    rows = np.arange(max(start, -offset), min(stop, len(right) - offset))
    one, other = left[rows], right[rows + offset]
    read = (one > 0) & (other > 0)
    one, other = one[read], other[read]
    if len(one) < _WINDOW // 2 or one.std() == 0 or other.std() == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])
