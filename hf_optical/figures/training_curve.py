"""Curve of a training: loss, scores on held-out pairs, and the kept step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from hf_optical.figures.svg import FAINT, INK, PALETTE, Svg, ticks

_LEFT, _RIGHT = 46, 344
_UPPER, _LOWER = (28, 138), (162, 232)

Points = Sequence[tuple[float, float]]


def training_curve(
    held_out: Mapping[str, Points], loss: Points, best: int, *, title: str, measure: str, mean: float | None = None
) -> Svg:
    """Draw held-out curves above and the training loss below, over the same steps.

    Args:
        held_out: Points (step, value) by name; the first curve, by which the step is chosen, is drawn thick.
        loss: (step, loss) as logged; may be empty.
        best: The step that was kept.
        title: Title above the plot.
        measure: Name of the held-out measure.
        mean: Value of the mean of the kept step's weights and the untrained ones, if that is what is saved.

    Example:
        >>> picture = training_curve({"mean": [(0, 0.5), (10, 0.7)]}, [(5, 2.0), (10, 1.0)], 10, title="a", measure="b")
        >>> "step 10 kept" in picture.render()
        True
    """
    last = max([step for points in (*held_out.values(), loss) for step, _ in points] + [1])
    picture = Svg(
        360,
        _LOWER[1] + 50 + 18 * (len(held_out) + (mean is not None)),
        f"{title}: {measure} of held-out pairs and training loss",
    )
    picture.text(4, 15, title, size=13, most=50)

    def across(step: float) -> float:
        return _LEFT + step / last * (_RIGHT - _LEFT)

    values = [value for points in held_out.values() for _, value in points]
    values += [] if mean is None else [mean]
    upper = _scale(picture, values, _UPPER)
    for number, (name, points) in enumerate(held_out.items()):
        colour = PALETTE[number % len(PALETTE)]
        picture.path([(across(step), upper(value)) for step, value in points], colour, 1.2 if number else 2.4)
        for step, value in points:
            picture.circle(across(step), upper(value), 1.5 if number else 2.5, colour, tip=f"{value:.3f} at {step:g}")
        y = _LOWER[1] + 44 + 18 * number
        picture.path([(12, y - 4), (30, y - 4)], colour, 2.4)
        picture.text(36, y, f"{measure}: {name}", size=11, most=50)
    picture.line(across(best), _UPPER[0] - 6, across(best), _LOWER[1], INK, 1, "3 3")
    if mean is not None:
        picture.circle(across(best), upper(mean), 4, INK, hollow=True, tip=f"{mean:.3f}")
        y = _LOWER[1] + 44 + 18 * len(held_out)
        picture.circle(21, y - 4, 4, INK, hollow=True)
        picture.text(36, y, f"saved: its weights averaged with those of step 0, {mean:.3f}", size=11, most=60)
    anchor = "end" if across(best) > (_LEFT + _RIGHT) / 2 else "start"
    picture.text(
        across(best) + (-4 if anchor == "end" else 4), _UPPER[0] + 2, f"step {best} kept", anchor=anchor, size=11
    )
    picture.text(_LEFT, _LOWER[0] - 8, "training loss", size=11)
    if loss:
        lower = _scale(picture, [value for _, value in loss], _LOWER)
        picture.path([(across(step), lower(value)) for step, value in loss], FAINT, 2)
    for tick in ticks(0, last):
        picture.line(across(tick), _LOWER[1], across(tick), _LOWER[1] + 4)
        picture.text(across(tick), _LOWER[1] + 16, f"{tick:g}", anchor="middle", size=11)
    picture.text((_LEFT + _RIGHT) / 2, _LOWER[1] + 29, "optimizer steps", anchor="middle", size=11)
    return picture


def _scale(picture: Svg, values: Sequence[float], place: tuple[int, int]) -> Callable[[float], float]:
    """Draw the grid lines of an axis, and return the function from value to height."""
    low, high = min(values), max(values)
    margin = 0.05 * (high - low) or 0.02
    low, high = low - margin, high + margin

    def at(value: float) -> float:
        return place[1] - (value - low) / (high - low) * (place[1] - place[0])

    for tick in ticks(low, high, 3):
        picture.line(_LEFT, at(tick), _RIGHT, at(tick), width=0.5)
        picture.text(_LEFT - 5, at(tick) + 4, f"{tick:g}", anchor="end", size=11)
    return at
