"""Forest plot: the difference of each method from a baseline, with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hf_optical.figures.svg import INK, PALETTE, Svg, ticks

_LEFT, _RIGHT, _ROW, _TOP = 128, 348, 22, 28


@dataclass(frozen=True)
class Effect:
    """One row of the plot.

    Attributes:
        name: The method.
        difference: Difference from the baseline.
        interval: Confidence interval of the difference.
        significant: Whether the difference is significant, shown as a full dot.
    """

    name: str
    difference: float
    interval: tuple[float, float]
    significant: bool


def forest_plot(
    effects: Sequence[Effect], *, title: str, baseline: str, bounds: tuple[float, float] | None = None
) -> Svg:
    """Draw differences from a baseline.

    Args:
        effects: One row per effect.
        title: Title above the plot.
        baseline: Name of the baseline.
        bounds: Limits of the axis; by default computed from the intervals. Give the same limits to plots shown side by
            side.

    Example:
        >>> plot = forest_plot([Effect("ot", 0.02, (0.01, 0.03), True)], title="Swahili", baseline="nce")
        >>> "+0.020 [+0.010, +0.030]" in plot.render()
        True
    """
    low, high = bounds or forest_bounds(effects)
    bottom = _TOP + _ROW * len(effects)
    picture = Svg(360, bottom + 40, f"{title}: difference from {baseline}")
    picture.text(4, 15, title, size=13, most=50)

    def place(value: float) -> float:
        return _LEFT + (min(max(value, low), high) - low) / (high - low) * (_RIGHT - _LEFT)

    for tick in ticks(low, high):
        picture.line(place(tick), _TOP, place(tick), bottom, width=0.5)
        picture.text(place(tick), bottom + 15, f"{tick:+g}" if tick else "0", anchor="middle", size=11)
    picture.line(place(0), _TOP - 4, place(0), bottom + 4, INK, dash="3 3")
    for row, effect in enumerate(effects):
        y = _TOP + _ROW * (row + 0.5)
        colour = PALETTE[0] if effect.difference >= 0 else PALETTE[1]
        said = f"{effect.name}: {effect.difference:+.3f} [{effect.interval[0]:+.3f}, {effect.interval[1]:+.3f}]"
        picture.text(_LEFT - 8, y + 4, effect.name, anchor="end", most=19)
        picture.line(place(effect.interval[0]), y, place(effect.interval[1]), y, colour, width=2)
        picture.circle(place(effect.difference), y, 4.5, colour, hollow=not effect.significant, tip=said)
    picture.text((_LEFT + _RIGHT) / 2, bottom + 32, f"difference from {baseline}", anchor="middle", size=11, most=36)
    return picture


def forest_bounds(effects: Sequence[Effect]) -> tuple[float, float]:
    """Return axis limits that contain all intervals and zero.

    Example:
        >>> forest_bounds([Effect("a", 0.1, (0.0, 0.2), False)])
        (-0.01, 0.21)
    """
    ends = [0.0, *(end for effect in effects for end in effect.interval)]
    room = max(0.05 * (max(ends) - min(ends)), 0.001)
    return round(min(ends) - room, 6), round(max(ends) + room, 6)
