"""The figure of ``benchmarks/growth.py``."""

from __future__ import annotations

import math
from typing import Any

from hf_optical.figures.svg import PALETTE, Svg

PARTS = {
    "read": "reading, by pairs",
    "sample": "sampler and epoch, by pairs",
    "grow": "growing, by pairs",
    "length": "step, by tokens of a text",
    "adapters": "step, by adapters",
}
# What is drawn of each part, and fitted.
TIME = {"read": "seconds", "sample": "seconds", "grow": "growing", "length": "step", "adapters": "step"}


def figure(results: dict[str, Any]) -> Svg:
    """Two rows of panels: processor seconds above, peak memory below; logarithmic axes, a dashed line for linear."""
    parts = [part for part in PARTS if part in results["parts"]]
    wide, high = 200, 150
    picture = Svg(wide * len(parts) + 10, 2 * high + 60, "Seconds and memory against pairs, length and adapters")
    for column, part in enumerate(parts):
        picture.text(wide * column + 40, 14, PARTS[part], size=11, most=30)
        for line, (key, unit) in enumerate(((TIME[part], "s"), ("peak_mb", "MB"))):
            points = [(point["n"], point[key]) for point in results["parts"][part]]
            _panel(picture, (wide * column + 40, 30 + line * (high + 20), wide - 55, high - 40), points, unit, column)
    return picture


def _panel(
    picture: Svg, box: tuple[float, float, float, float], points: list[tuple[float, float]], unit: str, number: int
) -> None:
    left, top, width, height = box
    points = [(n, max(value, 1e-4)) for n, value in points]
    low, high = math.floor(math.log10(min(v for _, v in points))), math.ceil(math.log10(max(v for _, v in points)))
    high = max(high, low + 1)
    first, last = math.log10(points[0][0]), math.log10(points[-1][0])

    def at(n: float, value: float) -> tuple[float, float]:
        x = left + (math.log10(n) - first) / max(last - first, 1e-9) * width
        return x, top + height - (math.log10(value) - low) / (high - low) * height

    for power in range(low, high + 1):
        _, y = at(points[0][0], 10.0**power)
        picture.line(left, y, left + width, y, width=0.5)
        picture.text(left - 4, y + 4, f"{10.0**power:g}", anchor="end", size=9)
    for n, _ in points:
        x, _ = at(n, 10.0**low)
        picture.text(x, top + height + 13, _short(n), anchor="middle", size=9)
    # Linear growth, backwards from the last point, as far as it is in the panel.
    end, value = points[-1]
    start = max(points[0][0], end * 10.0**low / value)
    picture.path([at(start, value * start / end), at(end, value)], PALETTE[-1], 1, "3 3")
    picture.path([at(*point) for point in points], PALETTE[number])
    for n, found in points:
        picture.circle(*at(n, found), 3, PALETTE[number], tip=f"{n:g}: {found:g} {unit}")
    picture.text(left + 4, top - 3, unit, size=10)


def _short(n: float) -> str:
    return f"{n:g}" if n < 1e3 else f"{n / 1e3:g}k" if n < 1e6 else f"{n / 1e6:g}M"
