"""Curves over the steps of a training: losses by name, or a score on held-out pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hf_optical.figures.svg import PALETTE, Svg, ticks

_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 348, 28, 208


def step_curves(curves: Mapping[str, Sequence[tuple[float, float]]], *, title: str) -> Svg:
    """Draw values against steps, all on one scale.

    Args:
        curves: Points (step, value) by name, in rising order of steps; at least one point in total.
        title: Title above the plot.

    Example:
        >>> "<polyline" in step_curves({"ot": [(20, 0.5), (40, 0.4)]}, title="Losses").render()
        True
    """
    points = [point for curve in curves.values() for point in curve]
    first, last = min(x for x, _ in points), max(x for x, _ in points)
    low, high = min(y for _, y in points), max(y for _, y in points)
    room = max((high - low) * 0.06, 1e-6)
    low, high = low - room, high + room
    rows = (len(curves) + 1) // 2
    picture = Svg(360, _BOTTOM + 40 + 18 * rows, title)
    picture.text(4, 15, title, size=13, most=50)

    def at(step: float, value: float) -> tuple[float, float]:
        x = _LEFT + (step - first) / max(last - first, 1e-9) * (_RIGHT - _LEFT)
        return x, _BOTTOM - (value - low) / (high - low) * (_BOTTOM - _TOP)

    for tick in ticks(low, high):
        _, y = at(first, tick)
        picture.line(_LEFT, y, _RIGHT, y, width=0.5)
        picture.text(_LEFT - 5, y + 4, f"{tick:g}", anchor="end", size=11)
    for tick in ticks(first, last):
        x, _ = at(tick, low)
        picture.text(x, _BOTTOM + 16, f"{tick:g}", anchor="middle", size=11)
    picture.text((_LEFT + _RIGHT) / 2, _BOTTOM + 30, "steps", anchor="middle", size=11)
    for number, (name, curve) in enumerate(curves.items()):
        colour = PALETTE[number % len(PALETTE)]
        picture.path([at(*point) for point in curve], colour)
        for point in curve if len(curve) < 30 else ():
            picture.circle(*at(*point), 2.5, colour, tip=f"{name}, step {point[0]:g}: {point[1]:.3f}")
        x, y = 12 + 176 * (number % 2), _BOTTOM + 50 + 18 * (number // 2)
        picture.path([(x, y - 4), (x + 18, y - 4)], colour, 2.5)
        picture.text(x + 24, y, name, size=11, most=24)
    return picture
