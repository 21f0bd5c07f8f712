"""Horizontal bars: scores of the rows of a table, and costs of methods."""

from __future__ import annotations

from collections.abc import Mapping

from hf_optical.figures.svg import ACCENT, FAINT, Svg
from hf_optical.results.measures import short_score

_LEFT, _RIGHT, _ROW, _TOP = 128, 300, 22, 26


def score_bars(
    values: Mapping[str, float],
    *,
    title: str,
    strong: str | None = None,
    meanings: Mapping[str, str] = {},
) -> Svg:
    """Draw scores between 0 and 1, one bar for each row of a table, on one scale.

    Args:
        values: Values by row.
        title: Title above the chart.
        strong: The row with which the others are compared; its bar is filled, the others are pale.
        meanings: What the rows are, in a few words, smaller under their names.

    Example:
        >>> ">.57<" in score_bars({"before": 0.5, "after": 0.568}, title="Questions", strong="after").render()
        True
    """
    left, right, height = 150, 316, _ROW + (10 if meanings else 0)
    picture = Svg(360, _TOP + height * len(values) + 8, title)
    picture.text(4, 15, title, size=13, most=50)
    for row, (name, value) in enumerate(values.items()):
        y, width = _TOP + height * row, max(1.0, value * (right - left))
        middle = y + (height - _ROW) / 2
        picture.text(left - 8, y + 15, name, anchor="end", most=23)
        if name in meanings:
            picture.text(left - 8, y + 26, meanings[name], anchor="end", size=9.5, colour=FAINT, most=30)
        picture.rectangle(left, middle + 4, right - left, _ROW - 8, FAINT, opacity=0.12)
        picture.rectangle(
            left, middle + 4, width, _ROW - 8, ACCENT, opacity=1 if name == strong else 0.5, tip=f"{name}: {value:.3f}"
        )
        picture.text(right + 6, middle + 15, short_score(value), size=11)
    return picture


def bar_chart(values: Mapping[str, float], *, title: str, unit: str) -> Svg:
    """Draw one bar for each method, with its number beside it.

    Args:
        values: Non-negative values by method.
        title: Title above the chart.
        unit: Unit of the numbers.

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
