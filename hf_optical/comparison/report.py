"""The report of a comparison: one HTML file without a network, its Markdown twin, LaTeX tables, figures as SVG."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from hf_optical.comparison.collect import Collected
from hf_optical.comparison.learning_curve import LearningCurve, doubling_sentence
from hf_optical.comparison.matrix import Cell
from hf_optical.comparison.panels import bias_table, english_table
from hf_optical.comparison.plans import PLAN_FILE
from hf_optical.comparison.tables import (
    MARKS,
    Table,
    cost_table,
    pair_table,
    score_tables,
    test_table,
    to_latex,
    to_markdown,
)
from hf_optical.comparison.words import display, main_entries, metric_name, place_name, sentences
from hf_optical.evaluation.tasks import row_name
from hf_optical.figures.svg import Svg
from hf_optical.results import RESULTS_FILE, plain, versions

_MOST_CURVES = 8


@dataclass(frozen=True)
class Figure:
    """A picture with its file name and what is said below it."""

    name: str
    picture: Svg
    caption: str = ""

    @property
    def svg(self) -> str:
        """The picture as text, for the page."""
        return self.picture.render()


@dataclass
class Report:
    """What the report says; made by :func:`build_report`, written by :func:`write_report`."""

    title: str
    settings: Mapping[str, Any]
    command: str
    metric: str
    baseline: str
    done: int
    planned: int
    budget: str
    findings: list[dict[str, Any]]
    doubling: list[str]
    all_doubling: list[str]
    scores: list[Table]
    tests: list[Table]
    pairs: list[Table]
    costs: Table | None
    english: Table | None
    bias: list[Table]
    data: list[dict[str, Any]]
    forest: list[Figure] = field(default_factory=list)
    curves: list[Figure] = field(default_factory=list)
    bars: list[Figure] = field(default_factory=list)
    plans: list[Figure] = field(default_factory=list)
    marks: str = MARKS
    versions: dict[str, str | None] = field(default_factory=versions)

    @property
    def figures(self) -> list[Figure]:
        """All of them."""
        return [*self.forest, *self.curves, *self.bars, *self.plans]


def build_report(
    found: Collected,
    entries: Sequence[dict[str, Any]],
    curves: Mapping[tuple[str, str], Mapping[str, LearningCurve]],
    cells: Sequence[Cell],
    *,
    settings: Mapping[str, Any],
    command: str,
    baseline: str,
    metric: str,
) -> Report:
    """Put together what a report says.

    Args:
        found: What the runs left.
        entries: From :func:`~hf_optical.comparison.summary.summarise`.
        curves: Learning curves by (set, language), then by method.
        cells: All runs.
        settings: Options of the comparison.
        command: That reproduces it.
        baseline: The arm that the others are held against.
        metric: The measure.
    """
    shown = metric_name(metric)
    mains = main_entries(entries)
    costs = mean_costs(found)
    best = {(entry["set"], entry["language"]): _best(entry) for entry in entries if entry["arms"]}
    doubling = {
        (place, method): doubling_sentence(curve, display(method), f"{place[0]}, {row_name(place[1])}", shown)
        for place, of_methods in curves.items()
        for method, curve in of_methods.items()
    }
    report = Report(
        title=f"{len(found.arms)} ways to teach a retriever {_languages(found)}",
        settings=plain(dict(settings)),
        command=command,
        metric=shown,
        baseline=baseline,
        done=found.done,
        planned=found.planned,
        budget=_budget(cells, found),
        findings=sentences(entries, baseline, metric, found.starts),
        doubling=[text for (place, method), text in doubling.items() if method in (best.get(place), baseline)],
        all_doubling=list(doubling.values()),
        scores=score_tables(entries, baseline, shown, found.starts),
        tests=[test_table(entry, baseline, f"{place_name(entry)}: against {baseline}") for entry in entries],
        pairs=[pair_table(entry, f"{place_name(entry)}: row minus column") for entry in mains],
        costs=cost_table(costs) if costs else None,
        english=english_table(found, shown),
        bias=bias_table(found),
        data=found.data,
    )
    report.tests = [table for table in report.tests if table.rows]
    report.pairs = [table for table in report.pairs if len(table.rows) > 1]
    _draw(report, entries, curves, costs, cells)
    return report


def write_report(report: Report, output_dir: str | Path) -> Path:
    """Write ``report.html``, ``report.md``, ``report.tex`` and ``figures/*.svg``.

    Returns:
        The HTML file.
    """
    folder = Path(output_dir)
    for figure in report.figures:
        figure.picture.save(folder / "figures" / f"{figure.name}.svg")
    (folder / "report.md").write_text(to_markdown_report(report), encoding="utf-8")
    latex = [to_latex(table, f"scores-{number}") for number, table in enumerate(report.scores, 1)]
    (folder / "report.tex").write_text("\n\n".join(latex) + "\n", encoding="utf-8")
    html = folder / "report.html"
    html.write_text(to_html(report), encoding="utf-8")
    return html


def to_html(report: Report) -> str:
    """The report as one page: no script, no network; everything that users named is escaped."""
    from jinja2 import Environment, StrictUndefined

    template = resources.files("hf_optical.comparison").joinpath("report.html.j2").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template).render(report=report, settings=_as_yaml(report.settings))


def to_markdown_report(report: Report) -> str:
    """The same as Markdown, for a paper's appendix or a repository."""
    parts = [f"# {report.title}", f"{report.done} of {report.planned} runs are done. {report.budget}"]
    parts += ["## What was found"]
    for finding in report.findings:
        parts.append(f"**{finding['place']}.** " + " ".join(finding["sentences"]))
    parts += ["\n".join(f"- {text}" for text in report.all_doubling)] if report.all_doubling else []
    parts += ["## Scores", report.marks + f". The baseline is {report.baseline}."]
    tables = [*report.scores, *report.tests, *report.pairs, *report.bias]
    for table in [*tables, *(table for table in (report.english, report.costs) if table)]:
        parts += [f"**{table.caption}**", to_markdown(table)]
    parts += ["## Figures", "\n".join(f"- [{f.picture.title}](figures/{f.name}.svg)" for f in report.figures)]
    parts += ["## How to reproduce", f"```\n{report.command}\n```", f"```yaml\n{_as_yaml(report.settings)}```"]
    parts += ["\n".join(f"- {entry['path']}: sha256 `{entry['sha256']}`" for entry in report.data)]
    return "\n\n".join(part for part in parts if part) + "\n"


def mean_costs(found: Collected) -> dict[str, dict[str, float | None]]:
    """Cost of a run of each arm, mean over languages and seeds."""
    means: dict[str, dict[str, float | None]] = {}
    for arm, by_language in found.costs.items():
        runs = [run for of_language in by_language.values() for run in of_language]
        means[arm] = {
            name: float(np.mean(known)) if (known := [run[name] for run in runs if run[name] is not None]) else None
            for name in ("train_seconds", "seconds", "peak_memory_mb", "model_mb")
        }
    return means


def _draw(
    report: Report,
    entries: Sequence[dict[str, Any]],
    curves: Mapping[tuple[str, str], Mapping[str, LearningCurve]],
    costs: Mapping[str, Mapping[str, float | None]],
    cells: Sequence[Cell],
) -> None:
    from hf_optical.figures.bars import bar_chart
    from hf_optical.figures.curves import learning_curves
    from hf_optical.figures.forest import Effect, forest_bounds, forest_plot

    for set_name in dict.fromkeys(entry["set"] for entry in entries):
        panels = []
        for entry in (entry for entry in entries if entry["set"] == set_name):
            tests = {arm: found["tests"].get(report.baseline) for arm, found in entry["arms"].items()}
            effects = [
                Effect(arm, test["difference"], tuple(test["interval"]), test["p_holm"] < 0.05)
                for arm, test in tests.items()
                if test
            ]
            if effects:
                panels.append((entry, effects))
        if panels:
            bounds = forest_bounds([effect for _, effects in panels for effect in effects])
            for entry, effects in panels:
                name = f"forest-{_file(set_name)}-{_file(entry['language'])}"
                title = place_name(entry)
                plot = forest_plot(effects, title=title, baseline=report.baseline, bounds=bounds)
                report.forest.append(Figure(name, plot))
    for (set_name, language), found in curves.items():
        kept = {display(name): curve for name, curve in list(found.items())[:_MOST_CURVES]}
        picture = learning_curves(kept, title=f"{set_name}, {row_name(language)}", metric=report.metric)
        report.curves.append(Figure(f"curve-{_file(set_name)}-{language}", picture))
    for column, title, unit in (
        ("train_seconds", "Seconds of training", "s"),
        ("peak_memory_mb", "Largest memory of a run", "MB"),
    ):
        values = {arm: float(cost[column] or 0) for arm, cost in costs.items() if cost[column] is not None}
        if values:
            report.bars.append(Figure(f"cost-{column}", bar_chart(values, title=title, unit=unit)))
    report.plans += _plans(cells)


def _plans(cells: Sequence[Cell]) -> list[Figure]:
    from hf_optical.figures.word_plan import draw_word_plan

    figures = []
    for cell in cells:
        file = cell.folder / PLAN_FILE
        if cell.size is not None or not cell.is_done() or not file.is_file():
            continue
        for number, entry in enumerate(json.loads(file.read_text(encoding="utf-8"))):
            for moment in ("before", "after"):
                if moment not in entry:
                    continue
                plan = entry[moment]
                title = f"{row_name(cell.language)}, {cell.arm}: {moment} training"
                picture = draw_word_plan(plan["rows"], plan["columns"], plan["plan"], title=title)
                name = f"plan-{cell.language}-{_file(cell.arm)}-{number}-{moment}"
                caption = "" if plan["words"] else "Pieces are shown: a tokenizer does not say which word they are of."
                figures.append(Figure(name, picture, caption))
    return figures


def _budget(cells: Sequence[Cell], found: Collected) -> str:
    arms, seeds = len(found.arms), len({cell.seed for cell in cells})
    text = f"{arms} arms, {len({cell.language for cell in cells})} languages, {seeds} seeds"
    steps = {(cell.options.get("max_steps"), cell.options.get("batch_size")) for cell in cells}
    if len(steps) == 1 and None not in next(iter(steps)):
        text += "; every run takes {} steps of {} pairs".format(*next(iter(steps)))
    return f"{text}."


def _best(entry: Mapping[str, Any]) -> str:
    return max(entry["arms"], key=lambda arm: float(entry["arms"][arm]["mean"]))


def _languages(found: Collected) -> str:
    names = list(dict.fromkeys(row_name(item.language) for item in found.items))
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "a language"


def _file(name: str) -> str:
    return "".join(character if character.isalnum() or character in "-_.+" else "_" for character in name)


def _as_yaml(settings: Mapping[str, Any]) -> str:
    import yaml

    return yaml.safe_dump(dict(settings), allow_unicode=True, sort_keys=False, width=100)


def found_references(cells: Sequence[Cell], output_dir: str | Path) -> dict[str, list[Path]]:
    """Folders of references that an earlier call has computed, by language."""
    root = Path(output_dir) / "references"
    languages = dict.fromkeys(cell.language for cell in cells)
    return {
        language: sorted(file.parent for file in (root / language).glob(f"*/{RESULTS_FILE}")) for language in languages
    }
