"""Compare methods on one budget: every arm, language and seed, then means, spread, paired tests and a report.

``python recipes/compare.py --config benchmarks/compare.yaml``. What is done is skipped; a killed comparison goes on
where it stopped. Leaves ``results.json``, ``report.html``, ``report.md`` and ``report.tex`` in ``output_dir``.
"""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from hf_optical.comparison import Cell, cells_of, collect, run_cells, summarise
from hf_optical.comparison.learning_curve import fit_learning_curve
from hf_optical.comparison.matrix import SHARED, check_options
from hf_optical.comparison.panels import english_rows
from hf_optical.comparison.plans import example_pairs, keep_plans
from hf_optical.comparison.references import compute_references
from hf_optical.comparison.report import build_report, found_references, mean_costs, write_report
from hf_optical.comparison.tables import to_markdown
from hf_optical.configuration import run
from hf_optical.data.bitext import read_bitext
from hf_optical.errors import InputError
from hf_optical.evaluation.milestones import COLUMNS
from hf_optical.results import portable, write_results


@dataclass
class CompareConfig:
    """Options of the comparison."""

    config: str | None = field(default=None, metadata={"help": "YAML file with these options."})
    output_dir: str = field(default="outputs/compare", metadata={"help": "Where runs, results and report go."})
    common: dict[str, Any] = field(default_factory=dict, metadata={"help": "Options of every run (see train.py)."})
    languages: dict[str, Any] = field(default_factory=dict, metadata={"help": "By language: bitext, eval."})
    arms: dict[str, Any] = field(default_factory=dict, metadata={"help": "By arm: what it changes."})
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2], metadata={"help": "Seeds."})
    baseline: str | None = field(default=None, metadata={"help": "Arm to test against; the first if not given."})
    metric: str = field(default="ndcg@10", metadata={"help": "The measure compared."})
    references: list[str] = field(
        default_factory=lambda: ["raw", "bm25", "ceiling"],
        metadata={"help": "Computed once per language: raw, bm25, translate, ceiling."},
    )
    translators: dict[str, Any] = field(
        default_factory=dict, metadata={"help": "Translation models (folders or ids) by language, or for 'all'."}
    )
    bm25_tokenisation: str = field(default="words", metadata={"help": "words or 4-grams."})
    sizes: list[Any] = field(default_factory=list, metadata={"help": "Sentence pairs for learning curves: 250 1000."})
    curve_arms: list[str] = field(default_factory=list, metadata={"help": "Arms run at these sizes; all if not given."})
    plans: int = field(default=1, metadata={"help": "Sentences per language whose transport plan is drawn."})
    jobs: int = field(default=1, metadata={"help": "Runs at a time."})
    keep_models: bool = field(default=False, metadata={"help": "Keep the trained models."})
    report_only: bool = field(default=False, metadata={"help": "Run nothing; report what is done."})


def main(config: CompareConfig) -> None:
    """Run what is missing, then say what came out."""
    started = time.time()
    check_options(common=config.common, languages=config.languages, arms=config.arms)
    baseline = config.baseline or next(iter(config.arms), "")
    cells = cells_of(
        config.output_dir,
        config.common,
        config.languages,
        config.arms,
        config.seeds,
        sizes=config.sizes,
        pairs=_count_pairs(config) if config.sizes else {},
        curve_arms=config.curve_arms,
    )
    if baseline not in config.arms:
        raise InputError(f"is {baseline!r}", f"name one of the arms: {', '.join(config.arms)}", field="baseline")
    if config.metric not in COLUMNS:
        raise InputError(f"is {config.metric!r}", f"use one of {', '.join(COLUMNS)}", field="metric")
    if config.report_only:
        references = found_references(cells, config.output_dir)
    else:
        references = compute_references(
            cells,
            config.output_dir,
            config.references,
            translators=config.translators,
            bm25_tokenisation=config.bm25_tokenisation,
            show_progress=True,
        )
        recipe = Path(__file__).with_name("train.py")
        keep = config.keep_models
        run_cells(cells, recipe, jobs=config.jobs, keep_models=keep, on_done=lambda cell: _plans(cell, config))
        if not keep:
            shutil.rmtree(Path(config.output_dir) / SHARED, ignore_errors=True)
    _report(config, cells, references, baseline, started)


def _report(
    config: CompareConfig, cells: list[Cell], references: dict[str, list[Path]], baseline: str, started: float
) -> None:
    found = collect(cells, config.metric, references)
    if not found.items:
        raise InputError("no run is done", "start it without --report_only", path=config.output_dir)
    entries = summarise(found)
    curves = {
        (item.set, item.language): {name: fit_learning_curve(scores) for name, scores in item.curve.items()}
        for item in found.items
        if item.curve
    }
    command = " ".join(["python", *(portable(argument) for argument in sys.argv)])
    settings = {name: value for name, value in vars(config).items() if name != "config"}
    report = build_report(
        found, entries, curves, cells, settings=settings, command=command, baseline=baseline, metric=config.metric
    )
    place = write_report(report, config.output_dir)
    write_results(
        config.output_dir,
        evaluations=entries,
        started=started,
        data=found.data,
        config=settings,
        done=found.done,
        planned=found.planned,
        findings=report.findings,
        curves=[
            {"set": name, "language": language, "method": method, **asdict(curve)}
            for (name, language), of_methods in curves.items()
            for method, curve in of_methods.items()
        ],
        doubling=report.all_doubling,
        english=english_rows(found),
        bias=found.bias,
        cost=mean_costs(found),
    )
    for table in report.scores:
        print(f"\n{table.caption}\n\n{to_markdown(table)}")
    print(f"\n{report.marks}\n")
    for finding in report.findings:
        print(f"{finding['place']}: {' '.join(finding['sentences'])}\n")
    print("\n".join([*report.doubling, f"Report: {place}"]))


def _count_pairs(config: CompareConfig) -> dict[str, int]:
    found = {}
    for language, options in config.languages.items():
        merged = {**config.common, **options}
        files = merged.get("bitext") or []
        fields: dict[str, Any] = {name: merged.get(name) for name in ("source_field", "translation_field")}
        files = files if isinstance(files, list) else [files]
        found[language] = sum(len(read_bitext(str(file).rpartition("=")[2], **fields)) for file in files)
    return found


def _plans(cell: Cell, config: CompareConfig) -> None:
    if config.plans and cell.size is None and cell.seed == config.seeds[0]:
        keep_plans(cell, example_pairs(cell, config.plans))


if __name__ == "__main__":
    run(main, CompareConfig)
