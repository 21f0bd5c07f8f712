"""Horizontal bars: what each method costs."""

from __future__ import annotations

from collections.abc import Mapping

from hf_optical.figures.svg import ACCENT, Svg

_LEFT, _RIGHT, _ROW, _TOP = 128, 300, 22, 26


def bar_chart(values: Mapping[str, float], *, title: str, unit: str) -> Svg:
    """Draw one bar for each method, its number beside it.

    Args:
        values: By method; not negative.
        title: Above the chart.
        unit: Of the numbers.

    Example:
        >>> ">96 s<" in bar_chart({"ot": 96.2}, title="Training", unit="s").render()
        True
    """
    picture = Svg(360, _TOP + _ROW * len(values) + 8, title)
    picture.text(4, 15, title, size=13, most=50)
    largest = max([*values.values(), 1e-9])
    for row, (name, value) in enumerate(values.items()):
        y, width = _TOP + _ROW * row, max(1.0, value / largest * (_RIGHT - _LEFT))
        picture.text(_LEFT - 8, y + 15, name, anchor="end", most=19)
        picture.rectangle(_LEFT, y + 4, width, _ROW - 8, ACCENT, tip=f"{name}: {value:,.1f} {unit}")
        shown = f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
        picture.text(_LEFT + width + 6, y + 15, f"{shown} {unit}", size=11)
    return picture
