"""Compare methods on one budget: every arm, language and seed, then means, spread, paired tests and a report.

``python recipes/compare.py --config benchmarks/compare.yaml``. What is done is skipped; a killed comparison goes on
where it stopped. Leaves ``results.json``, ``report.html``, ``report.md`` and ``report.tex`` in ``output_dir``.
"""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hf_optical.comparison import Cell, cells_of, collect, run_cells, summarise
from hf_optical.comparison.bitexts import count_pairs, example_pairs
from hf_optical.comparison.learning_curve import fit_learning_curve
from hf_optical.comparison.matrix import SHARED
from hf_optical.comparison.option_checks import check_options, expanded_paths
from hf_optical.comparison.panels import english_rows, mean_costs
from hf_optical.comparison.plans import keep_plans
from hf_optical.comparison.references import REFERENCES, compute_references, found_references
from hf_optical.comparison.report import build_report, write_report
from hf_optical.comparison.tables import to_markdown
from hf_optical.configuration.parsing import option, run
from hf_optical.errors import InputError
from hf_optical.results import table_rows
from hf_optical.results.files import portable, write_results
from hf_optical.results.measures import MEASURES
from hf_optical.results.records import Evaluation


@dataclass
class CompareConfig:
    """Options of the comparison."""

    config: str | None = option(None, "YAML file with these options.", path=True)
    output_dir: str = option("outputs/compare", "Where runs, results and report go.", path=True)
    common: dict[str, Any] = option({}, "Options of every run (see train.py).")
    languages: dict[str, Any] = option({}, "By language: bitext, eval.")
    arms: dict[str, Any] = option({}, "By arm: what it changes.")
    seeds: list[int] = option([0, 1, 2], "Seeds.")
    baseline: str | None = option(None, "Arm to test against; the first if not given.")
    metric: str = option("ndcg@10", "The measure compared.")
    references: list[str] = option(
        [table_rows.RAW, table_rows.BM25, table_rows.CEILING],
        f"Computed once per language: {', '.join(REFERENCES)}.",
    )
    translators: dict[str, Any] = option(
        {}, "Translation models (folders or ids) by language, or for 'all'.", path=True
    )
    bm25_tokenisation: str = option("words", "words or 4-grams.")
    sizes: list[Any] = option([], "Sentence pairs for learning curves: 250 1000.")
    curve_arms: list[str] = option([], "Arms run at these sizes; all if not given.")
    plans: int = option(1, "Sentences per language whose transport plan is drawn.")
    jobs: int = option(1, "Runs at a time.")
    keep_models: bool = option(False, "Keep the trained models.")
    report_only: bool = option(False, "Run nothing; report what is done.")


def main(config: CompareConfig) -> None:
    """Run what is missing, then say what came out."""
    started = time.time()
    check_options(config.common, config.languages, config.arms)
    config.common, config.languages, config.arms = map(expanded_paths, (config.common, config.languages, config.arms))
    baseline = config.baseline or next(iter(config.arms), "")
    cells = cells_of(
        config.output_dir,
        config.common,
        config.languages,
        config.arms,
        config.seeds,
        sizes=config.sizes,
        pairs=count_pairs(config.common, config.languages) if config.sizes else {},
        curve_arms=config.curve_arms,
    )
    if baseline not in config.arms:
        raise InputError(f"is {baseline!r}", f"name one of the arms: {', '.join(config.arms)}", field="baseline")
    if config.metric not in MEASURES:
        raise InputError(f"is {config.metric!r}", f"use one of {', '.join(MEASURES)}", field="metric")
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
    english = english_rows(found)
    report = build_report(
        found,
        entries,
        curves,
        cells,
        english=english,
        settings=settings,
        command=command,
        baseline=baseline,
        metric=config.metric,
    )
    place = write_report(report, config.output_dir)
    write_results(
        config.output_dir,
        evaluations=[Evaluation.from_json(entry) for entry in entries],
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
        english=english,
        bias=found.bias,
        cost=mean_costs(found),
    )
    for table in report.scores:
        print(f"\n{table.caption}\n\n{to_markdown(table)}")
    print(f"\n{report.marks}\n")
    for finding in report.findings:
        print(f"{finding['place']}: {' '.join(finding['sentences'])}\n")
    print("\n".join([*report.doubling, f"Report: {place}"]))


def _plans(cell: Cell, config: CompareConfig) -> None:
    if config.plans > 0 and cell.size is None and cell.seed == config.seeds[0]:
        keep_plans(cell, example_pairs(cell, config.plans))


if __name__ == "__main__":
    run(main, CompareConfig)
