"""Report of a comparison: one HTML file that works offline, the same in Markdown, LaTeX tables, SVG figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hf_optical.comparison.collect import Collected
from hf_optical.comparison.drawings import Figure, cost_figures, curve_figures, forest_figures, plan_figures
from hf_optical.comparison.learning_curve import LearningCurve, bitext_sentence
from hf_optical.comparison.matrix import RunSpec
from hf_optical.comparison.panels import bias_tables, english_table, mean_costs
from hf_optical.comparison.tables import (
    MARKS,
    Table,
    cost_table,
    difference_table,
    escape_markdown,
    pair_table,
    score_tables,
    to_latex,
    to_markdown,
)
from hf_optical.comparison.verdicts import display, main_entries, metric_name, place_name, sentences
from hf_optical.evaluation.tasks import row_name
from hf_optical.results.files import plain, versions
from hf_optical.results.pages import render_page


@dataclass
class Report:
    """Content of a comparison's report; made by :func:`build_report`, written by :func:`write_report`."""

    title: str
    settings: Mapping[str, Any]
    command: str
    metric: str
    baseline: str
    done: int
    planned: int
    budget: str
    findings: list[dict[str, Any]]
    more_bitext: list[str]
    all_more_bitext: list[str]
    scores: list[Table]
    tests: list[Table]
    pairs: list[Table]
    costs: Table | None
    english: Table | None
    bias: list[Table]
    data: list[dict[str, Any]]
    forest: list[Figure]
    curves: list[Figure]
    bars: list[Figure]
    plans: list[Figure]
    marks: str = MARKS
    versions: dict[str, str | None] = field(default_factory=versions)

    @property
    def figures(self) -> list[Figure]:
        """Return all figures of the report."""
        return [*self.forest, *self.curves, *self.bars, *self.plans]


def build_report(
    found: Collected,
    entries: Sequence[dict[str, Any]],
    curves: Mapping[tuple[str, str], Mapping[str, LearningCurve]],
    cells: Sequence[RunSpec],
    *,
    english: Sequence[Mapping[str, Any]],
    settings: Mapping[str, Any],
    command: str,
    baseline: str,
    metric: str,
) -> Report:
    """Build the content of a report.

    Args:
        found: Results of the runs.
        entries: Result of :func:`~hf_optical.comparison.summary.summarise`.
        curves: Learning curves by (set, language), then by method.
        cells: All runs.
        english: Result of :func:`~hf_optical.comparison.panels.english_rows`.
        settings: Options of the comparison.
        command: Command that reproduces the comparison.
        baseline: The arm with which the others are compared.
        metric: The measure.
    """
    shown = metric_name(metric)
    mains = main_entries(entries)
    costs = mean_costs(found)
    best = {(entry["set"], entry["language"]): _best(entry) for entry in entries if entry["arms"]}
    more_bitext = {
        (place, method): bitext_sentence(curve, display(method), f"{place[0]}, {row_name(place[1])}", shown)
        for place, of_methods in curves.items()
        for method, curve in of_methods.items()
    }
    tests = [difference_table(entry, baseline, f"{place_name(entry)}: against {baseline}") for entry in entries]
    pairs = [pair_table(entry, f"{place_name(entry)}: row minus column") for entry in mains]
    return Report(
        title=f"{_count(len(found.arms), 'way')} to teach a retriever {_languages(found)}",
        settings=plain(dict(settings)),
        command=command,
        metric=shown,
        baseline=baseline,
        done=found.done,
        planned=found.planned,
        budget=_budget(cells, found),
        findings=sentences(entries, baseline, metric, found.starts),
        more_bitext=[text for (place, method), text in more_bitext.items() if method in (best.get(place), baseline)],
        all_more_bitext=list(more_bitext.values()),
        scores=score_tables(entries, baseline, shown, found.starts),
        tests=[table for table in tests if table.rows],
        pairs=[table for table in pairs if len(table.rows) > 1],
        costs=cost_table(costs) if costs else None,
        english=english_table(english, shown),
        bias=bias_tables(found.bias),
        data=found.data,
        forest=forest_figures(entries, baseline),
        curves=curve_figures(curves, shown),
        bars=cost_figures(costs),
        plans=plan_figures(cells),
    )


def write_report(report: Report, output_dir: str | Path) -> Path:
    """Write ``report.html``, ``report.md``, ``report.tex`` and ``figures/*.svg``.

    Returns:
        The HTML file.
    """
    folder = Path(output_dir)
    for figure in report.figures:
        figure.picture.save(folder / "figures" / f"{figure.name}.svg")
    (folder / "report.md").write_text(_to_markdown_report(report), encoding="utf-8")
    latex = [to_latex(table, f"scores-{number}") for number, table in enumerate(report.scores, 1)]
    (folder / "report.tex").write_text("\n\n".join(latex) + "\n", encoding="utf-8")
    html = folder / "report.html"
    html.write_text(_to_html(report), encoding="utf-8")
    return html


def _to_html(report: Report) -> str:
    """Render the report as one HTML page without scripts or network access; names are escaped."""
    return render_page("hf_optical.comparison", "report.html.j2", report=report, settings=_as_yaml(report.settings))


def _to_markdown_report(report: Report) -> str:
    """Render the report as Markdown, for a paper's appendix or a repository."""
    parts = [f"# {report.title}", f"{report.done} of {report.planned} runs are done. {report.budget}"]
    parts += ["## What was found"]
    for finding in report.findings:
        parts.append(f"**{escape_markdown(finding['place'])}.** " + escape_markdown(" ".join(finding["sentences"])))
    parts += (
        ["\n".join(f"- {escape_markdown(text)}" for text in report.all_more_bitext)] if report.all_more_bitext else []
    )
    parts += ["## Scores", report.marks + f". The baseline is {report.baseline}."]
    tables = [*report.scores, *report.tests, *report.pairs, *report.bias]
    for table in [*tables, *(table for table in (report.english, report.costs) if table)]:
        parts += [f"**{escape_markdown(table.caption)}**", to_markdown(table)]
    links = [f"- [{escape_markdown(figure.picture.title)}](figures/{figure.name}.svg)" for figure in report.figures]
    parts += ["## Figures", "\n".join(links)]
    parts += ["## How to reproduce", f"```\n{report.command}\n```", f"```yaml\n{_as_yaml(report.settings)}```"]
    parts += [
        "\n".join(f"- {escape_markdown(str(entry['path']))}: sha256 `{entry['sha256']}`" for entry in report.data)
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _budget(cells: Sequence[RunSpec], found: Collected) -> str:
    arms, seeds = len(found.arms), len({cell.seed for cell in cells})
    languages = len({cell.language for cell in cells})
    text = f"{_count(arms, 'arm')}, {_count(languages, 'language')}, {_count(seeds, 'seed')}"
    steps = {(cell.options.get("max_steps"), cell.options.get("batch_size")) for cell in cells}
    if len(steps) == 1 and None not in next(iter(steps)):
        text += "; every run takes {} steps of {} pairs".format(*next(iter(steps)))
    return f"{text}."


def _best(entry: Mapping[str, Any]) -> str:
    return max(entry["arms"], key=lambda arm: float(entry["arms"][arm]["mean"]))


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' * (number != 1)}"


def _languages(found: Collected) -> str:
    names = list(dict.fromkeys(row_name(item.language) for item in found.items))
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else "a language"


def _as_yaml(settings: Mapping[str, Any]) -> str:
    import yaml

    return yaml.safe_dump(dict(settings), allow_unicode=True, sort_keys=False, width=100)
