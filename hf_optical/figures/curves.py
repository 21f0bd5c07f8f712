"""Learning curves: quality against the number of sentence pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hf_optical.figures.svg import PALETTE, Svg, ticks

_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 348, 28, 208
_DASHES = ("", "6 3", "2 3")


@dataclass(frozen=True)
class Curve:
    """Curve of one method; points are a number of sentence pairs and a score.

    Attributes:
        dots: Measured points, in rising order of size.
        line: What was fitted to it, or the dots themselves.
    """

    dots: Sequence[tuple[float, float]]
    line: Sequence[tuple[float, float]]


def learning_curves(curves: Mapping[str, Curve], *, title: str, metric: str) -> Svg:
    """Draw measured scores as dots, and lines through them.

    Args:
        curves: Curves by method.
        title: Title above the plot.
        metric: Name of the measure.

    Example:
        >>> curve = Curve([(250, 0.5), (1000, 0.6)], [(250, 0.5), (2000, 0.65)])
        >>> "<circle" in learning_curves({"ot": curve}, title="Swahili", metric="nDCG@10").render()
        True
    """
    sizes = sorted({size for curve in curves.values() for size, _ in curve.dots})
    points = [point for curve in curves.values() for point in (*curve.dots, *curve.line)]
    left, right = np.log(min(n for n, _ in points)) - 0.2, np.log(max(n for n, _ in points)) + 0.1
    low, high = min(score for _, score in points) - 0.02, max(score for _, score in points) + 0.02
    rows = (len(curves) + 1) // 2
    picture = Svg(360, _BOTTOM + 44 + 18 * rows, f"{title}: {metric} against sentence pairs")
    picture.text(4, 15, title, size=13, most=50)

    def at(n: float, score: float) -> tuple[float, float]:
        x = _LEFT + (np.log(n) - left) / (right - left) * (_RIGHT - _LEFT)
        return float(x), float(_BOTTOM - (score - low) / (high - low) * (_BOTTOM - _TOP))

    for tick in ticks(low, high):
        _, y = at(sizes[0], tick)
        picture.line(_LEFT, y, _RIGHT, y, width=0.5)
        picture.text(_LEFT - 5, y + 4, f"{tick:g}", anchor="end", size=11)
    last = -100.0
    for size in sizes:
        x, _ = at(size, low)
        picture.line(x, _BOTTOM, x, _BOTTOM + 4)
        if x - last > 34:
            picture.text(x, _BOTTOM + 16, _short(size), anchor="middle", size=11)
            last = x
    picture.text((_LEFT + _RIGHT) / 2, _BOTTOM + 31, "sentence pairs (logarithmic)", anchor="middle", size=11)
    for number, (name, curve) in enumerate(curves.items()):
        colour, dash = PALETTE[number % len(PALETTE)], _DASHES[number // len(PALETTE) % len(_DASHES)]
        picture.path([at(n, score) for n, score in curve.line], colour, dash=dash)
        for size, score in curve.dots:
            picture.circle(*at(size, score), 3, colour, tip=f"{name}: {score:.3f} with {size:,} pairs")
        x, y = 12 + 176 * (number % 2), _BOTTOM + 50 + 18 * (number // 2)
        picture.path([(x, y - 4), (x + 18, y - 4)], colour, 2.5, dash)
        picture.text(x + 24, y, name, size=11, most=24)
    return picture


def _short(size: float) -> str:
    return f"{size / 1000:.3g}k" if size >= 1000 else f"{size:g}"
