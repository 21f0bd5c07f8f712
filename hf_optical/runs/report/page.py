"""Content of a run's report, and writing it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hf_optical.data.languages import language_name
from hf_optical.data.retrieval import RetrievalSet
from hf_optical.evaluation.retrieval import RetrievalScores
from hf_optical.evaluation.significance import legend_of
from hf_optical.figures.bars import score_bars
from hf_optical.figures.losses import step_curves
from hf_optical.figures.svg import Svg
from hf_optical.figures.word_plan import draw_word_plan
from hf_optical.results import table_rows
from hf_optical.results.measures import MAIN_MEASURE, MEASURES, short_score
from hf_optical.results.pages import render_page
from hf_optical.runs.report.examples import Example, examples
from hf_optical.units import folder_bytes, shown_bytes, shown_seconds

REPORT_FILE = "report.html"

# Labels short enough for a phone; they stand beside the names of the rows, by which tables and tests call them.
LABELS = {
    table_rows.RAW: "teacher, raw query",
    table_rows.BM25: "BM25, raw query",
    table_rows.OFF_THE_SHELF: "off the shelf",
    table_rows.BEFORE: "untouched student",
    table_rows.INITIALIZED: "untrained, rows from bitext",
    table_rows.INJECTED: "words injected",
    table_rows.AFTER: "trained student",
    table_rows.FUSED: "student and BM25",
    table_rows.CEILING: "teacher, English query",
    table_rows.ENGLISH_BEFORE: "English, before",
    table_rows.ENGLISH_AFTER: "English, after",
}
_NO_LOSSES = {"step", "epoch", "learning_rate", "grad_norm", "total_flos", "num_tokens"}
Rankings = Sequence[tuple[RetrievalSet, Mapping[str, RetrievalScores], Mapping[str, Mapping[str, Sequence[str]]]]]


@dataclass(frozen=True)
class Picture:
    """A picture and its caption."""

    picture: Svg
    caption: str = ""

    @property
    def svg(self) -> str:
        """Return the picture as SVG text."""
        return self.picture.render()


@dataclass(frozen=True)
class Drawn:
    """A picture from a file of the run."""

    svg: str
    caption: str = ""

    @classmethod
    def of(cls, file: Path | None) -> Drawn | None:
        """Read the picture in a file; None if the file does not exist."""
        return cls(file.read_text(encoding="utf-8")) if file is not None and file.is_file() else None


@dataclass(frozen=True)
class _Group:
    name: str
    examples: list[Example]


@dataclass(frozen=True)
class _Row:
    label: str
    cells: list[str]
    first: bool


@dataclass(frozen=True)
class _Table:
    columns: list[str]
    rows: list[_Row]


@dataclass(frozen=True)
class RunReport:
    """Everything that the report shows."""

    title: str
    summary: str
    legend: dict[str, str]
    bars: list[Picture]
    sentences: list[str]
    sentences_legend: str
    table: _Table
    examples: list[_Group]
    plans: list[Picture]
    curves: Sequence[Picture | Drawn]
    costs: dict[str, str]
    command: str
    data: list[dict[str, Any]] = field(default_factory=list)
    versions: dict[str, str | None] = field(default_factory=dict)


def write_run_report(
    folder: str | Path,
    results: Mapping[str, Any],
    *,
    languages: Sequence[str],
    rankings: Rankings = (),
    held_out: Rankings = (),
    sentences: Sequence[str] = (),
    plans: Sequence[Mapping[str, Any]] = (),
    held_out_curve: Drawn | None = None,
) -> Path:
    """Write ``report.html`` into the output folder of a run.

    Args:
        folder: The output folder.
        results: The content of the run's ``results.json``.
        languages: The languages of the run.
        rankings: For each retrieval set its scores by row, and the documents found by row and query.
        held_out: The same for the held-out pairs, whose queries are shown if there is no retrieval set.
        sentences: A sentence for each test.
        held_out_curve: The score on held-out pairs over the steps, as SVG.
        plans: Word plans (:func:`~hf_optical.figures.word_plan.word_plan`), each with a ``title``.

    Returns:
        The file.
    """
    names = ", ".join(language_name(code) for code in languages)
    config = results.get("config") or {}
    measured = [scores for _, scores, _ in rankings] or [scores for _, scores, _ in held_out]
    shown = [row for row in LABELS if any(row in scores for scores in measured)]
    report = RunReport(
        title=f"Training run: {names}",
        summary=f"{results.get('pairs') or 0:,} sentence pairs, {config.get('max_steps', 0):,} steps of "
        f"{config.get('batch_size', 0)} pairs, objective {config.get('objective')}, student {config.get('student')}.",
        legend={row: table_rows.MEANINGS[row] for row in shown},
        bars=[_bars(item, scores) for item, scores, _ in rankings] + _held_out(results),
        sentences=[text for text in sentences if text],
        sentences_legend=legend_of("\n".join(sentences)),
        table=_table(rankings),
        examples=[
            _Group(_place(item), found)
            for item, scores, best in rankings or held_out
            if (found := examples(item, scores, best))
        ],
        plans=[
            Picture(
                draw_word_plan(plan["rows"], plan["columns"], plan["plan"], title=plan["title"]),
                ""
                if plan["words"]
                else "Pieces are shown, because the tokenizer does not tell to which word they belong.",
            )
            for plan in plans
        ],
        curves=[*([held_out_curve] if held_out_curve is not None else []), *_curves(results.get("history") or [])],
        costs=_costs(Path(folder), results),
        command=str(results.get("command") or ""),
        data=list(results.get("data") or []),
        versions=dict(results.get("versions") or {}),
    )
    place = Path(folder) / REPORT_FILE
    page = render_page("hf_optical.runs.report", "page.html.j2", report=report, labels=LABELS, short=short_score)
    place.write_text(page, encoding="utf-8")
    return place


def _place(item: RetrievalSet) -> str:
    return f"{item.name}, {language_name(item.query_language)}"


def _bars(item: RetrievalSet, scores: Mapping[str, RetrievalScores]) -> Picture:
    values = {row: scores[row].metrics[MAIN_MEASURE] for row in LABELS if row in scores}
    title = f"{_place(item)}, {next(iter(scores.values())).n:,} queries"
    return Picture(score_bars(values, title=title, strong=table_rows.AFTER, meanings=LABELS))


def _held_out(results: Mapping[str, Any]) -> list[Picture]:
    """Draw bars of the held-out pairs, by which the step was chosen."""
    caption = "Pairs of the bitext that were not used for training; the step with their best score is kept."
    pictures = []
    for entry in (results.get("held_out") or {}).get("evaluations") or []:
        values = {row: entry[row][MAIN_MEASURE] for row in LABELS if row in entry}
        title = f"{entry['set']}, {language_name(entry['language'])}, {entry['n']:,} queries"
        bars = score_bars(values, title=title, strong=table_rows.AFTER, meanings=LABELS)
        pictures.append(Picture(bars, caption))
    return pictures


def _table(rankings: Rankings) -> _Table:
    rows = []
    for item, scores, _ in rankings:
        measured = [row for row in LABELS if row in scores]
        for row in measured:
            cells = [short_score(scores[row].metrics[name], 3) for name in MEASURES]
            rows.append(_Row(f"{_place(item)}: {row}", cells, row == measured[0]))
    return _Table(list(MEASURES), rows)


def _curves(history: Sequence[Mapping[str, Any]]) -> list[Picture]:
    """Draw the logged losses by name."""
    losses: dict[str, list[tuple[float, float]]] = {}
    for entry in history:
        step = entry.get("step")
        if step is None or "train_runtime" in entry:
            continue
        for name, value in entry.items():
            if (
                name in _NO_LOSSES
                or name.startswith(("eval_", "held_out"))
                or not isinstance(value, int | float)
                or isinstance(value, bool)
            ):
                continue
            losses.setdefault(name.replace("_", " "), []).append((step, float(value)))
    return [Picture(step_curves(losses, title="Training loss"))] if losses else []


def _costs(folder: Path, results: Mapping[str, Any]) -> dict[str, str]:
    size = folder_bytes(folder / "model")
    found = {
        "whole command": shown_seconds(results["seconds"]) if results.get("seconds") else None,
        "training": _training(results.get("history") or []),
        "largest memory": shown_bytes(results["peak_memory_mb"] * 1e6) if results.get("peak_memory_mb") else None,
        "model on disk": shown_bytes(size) if size else None,
    }
    return {name: value for name, value in found.items() if value}


def _training(history: Sequence[Mapping[str, Any]]) -> str | None:
    seconds = next((entry["train_runtime"] for entry in history if "train_runtime" in entry), None)
    return shown_seconds(seconds) if seconds else None
