"""Pictures of a report: differences, learning curves, costs, transport plans."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hf_optical.comparison.learning_curve import LearningCurve
from hf_optical.comparison.matrix import RunSpec
from hf_optical.comparison.plans import PLAN_FILE
from hf_optical.comparison.verdicts import display, place_name
from hf_optical.evaluation.paired_statistics import ALPHA
from hf_optical.evaluation.tasks import row_name
from hf_optical.figures.bars import bar_chart
from hf_optical.figures.curves import Curve, learning_curves
from hf_optical.figures.forest import Effect, forest_bounds, forest_plot
from hf_optical.figures.svg import Svg
from hf_optical.figures.word_plan import draw_word_plan
from hf_optical.results.table_rows import AFTER, BEFORE

_MOST_CURVES = 8


@dataclass(frozen=True)
class Figure:
    """A picture with its file name and caption."""

    name: str
    picture: Svg
    caption: str = ""

    @property
    def svg(self) -> str:
        """Return the picture as SVG text."""
        return self.picture.render()


def forest_figures(entries: Sequence[Mapping[str, Any]], baseline: str) -> list[Figure]:
    """Draw differences from the baseline, one plot for each set and language; plots of a set share an axis."""
    panels: dict[str, list[tuple[Mapping[str, Any], list[Effect]]]] = {}
    for entry in entries:
        tests = {arm: found["tests"].get(baseline) for arm, found in entry["arms"].items()}
        effects = [
            Effect(arm, test["difference"], tuple(test["interval"]), test["p_holm"] < ALPHA)
            for arm, test in tests.items()
            if test
        ]
        if effects:
            panels.setdefault(entry["set"], []).append((entry, effects))
    figures = []
    for set_name, of_set in panels.items():
        bounds = forest_bounds([effect for _, effects in of_set for effect in effects])
        for entry, effects in of_set:
            plot = forest_plot(effects, title=place_name(entry), baseline=baseline, bounds=bounds)
            figures.append(Figure(f"forest-{_file(set_name)}-{_file(entry['language'])}", plot))
    return figures


def curve_figures(curves: Mapping[tuple[str, str], Mapping[str, LearningCurve]], metric: str) -> list[Figure]:
    """Draw learning curves by set and language, beyond the largest bitext only if the curve has predicted that size."""
    figures = []
    for (set_name, language), found in curves.items():
        shown = {display(name): _drawn(curve) for name, curve in list(found.items())[:_MOST_CURVES]}
        picture = learning_curves(shown, title=f"{set_name}, {row_name(language)}", metric=metric)
        figures.append(Figure(f"curve-{_file(set_name)}-{language}", picture))
    return figures


def cost_figures(costs: Mapping[str, Mapping[str, float | None]]) -> list[Figure]:
    """Draw time and memory of each arm, if known."""
    figures = []
    for column, title, unit in (
        ("train_seconds", "Seconds of training", "s"),
        ("peak_memory_mb", "Peak memory of a run", "MB"),
    ):
        values = {arm: value for arm, cost in costs.items() if (value := cost[column]) is not None}
        if values:
            figures.append(Figure(f"cost-{column}", bar_chart(values, title=title, unit=unit)))
    return figures


def plan_figures(cells: Iterable[RunSpec]) -> list[Figure]:
    """Draw the transport plans kept by runs on the whole bitext; runs from one student share the first plan."""
    figures = []
    shown: set[tuple[str, ...]] = set()
    for cell in cells:
        file = cell.folder / PLAN_FILE
        if cell.size is not None or not cell.is_done() or not file.is_file():
            continue
        entries = json.loads(file.read_text(encoding="utf-8"))
        moments = (AFTER,) if cell.student() in shown else (BEFORE, AFTER)
        if any(BEFORE in entry for entry in entries):
            shown.add(cell.student())
        for number, entry in enumerate(entries):
            for moment in moments:
                if moment not in entry:
                    continue
                plan = entry[moment]
                title = f"{row_name(cell.language)}, {cell.arm}: {moment} training"
                picture = draw_word_plan(plan["rows"], plan["columns"], plan["plan"], title=title)
                name = f"plan-{cell.language}-{_file(cell.arm)}-{number}-{moment}"
                caption = (
                    ""
                    if plan["words"]
                    else ("Pieces are shown, because the tokenizer does not tell to which word they belong.")
                )
                figures.append(Figure(name, picture, caption))
    return figures


def _drawn(curve: LearningCurve) -> Curve:
    dots = list(zip(curve.sizes, curve.means, strict=True))
    if curve.fit is None or not curve.fit.predicts_largest:
        return Curve(dots=dots, line=dots)
    sizes = np.geomspace(curve.sizes[0], 2 * curve.sizes[-1], 50)
    return Curve(dots=dots, line=list(zip(sizes.tolist(), curve.fit.at(sizes).tolist(), strict=True)))


def _file(name: str) -> str:
    return "".join(character if character.isalnum() or character in "-_.+" else "_" for character in name)
