"""Compare methods on one budget: every arm, language and seed, then means, spread, paired tests and a report.

``hf-optical compare --config benchmarks/compare.yaml``. Finished runs are skipped, and a killed comparison resumes.
Writes ``results.json``, ``report.html``, ``report.md`` and ``report.tex`` in ``output_dir``. ``hf-optical compare RUN
RUN`` only tests two finished runs against each other.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import asdict
from pathlib import Path

from hf_optical.commands.options.compare import CompareConfig
from hf_optical.comparison import RunSpec, cells_of, collect, run_cells, summarise
from hf_optical.comparison.bitexts import count_pairs, example_pairs
from hf_optical.comparison.contrasts import check_contrasts, contrast_tests
from hf_optical.comparison.finished_runs import compare_runs
from hf_optical.comparison.learning_curve import fit_learning_curve
from hf_optical.comparison.matrix import SHARED
from hf_optical.comparison.option_checks import check_options, expanded_paths
from hf_optical.comparison.panels import english_rows, mean_costs
from hf_optical.comparison.plans import keep_plans
from hf_optical.comparison.references import compute_references, found_references
from hf_optical.comparison.report import build_report, write_report
from hf_optical.comparison.tables import to_markdown
from hf_optical.comparison.workers import threads_for, workers_for
from hf_optical.errors import InputError
from hf_optical.evaluation.significance import legend_of
from hf_optical.places import holding_output
from hf_optical.results.files import typed_command, write_results
from hf_optical.results.measures import MEASURES
from hf_optical.results.records import Evaluation

TRAINING = ("-m", "hf_optical.train")  # arguments of Python for one run
_OF_NO_CONSEQUENCE = ("config", "workers", "threads")  # results do not depend on the number of workers


@holding_output
def main(config: CompareConfig) -> None:
    """Run the missing runs, then report the results."""
    if config.runs:
        said = "\n".join(pair.text(config.metric) for pair in compare_runs(config.runs, config.metric))
        print(said + (f"\n{legend}" if (legend := legend_of(said)) else ""))
        return
    started = time.time()
    check_options(config.common, config.languages, config.arms)
    config.common, config.languages, config.arms = map(expanded_paths, (config.common, config.languages, config.arms))
    check_contrasts(config.contrasts, list(config.arms))
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
            encoder=config.encoder,
            bm25_tokenisation=config.bm25_tokenisation,
            show_progress=True,
        )
        keep = config.keep_models
        left = [cell for cell in cells if not cell.is_done()]
        workers = workers_for(config.workers, left)
        threads = threads_for(config.threads)
        if left:
            print(f"{len(left)} runs, {workers} at a time, {threads} thread{'s' * (threads > 1)} each")
        run_cells(
            cells,
            TRAINING,
            workers=workers,
            threads=threads,
            keep_models=keep,
            on_done=lambda cell: _plans(cell, config),
        )
        if not keep:
            shutil.rmtree(Path(config.output_dir) / SHARED, ignore_errors=True)
    _report(config, cells, references, baseline, started)


def _report(
    config: CompareConfig, cells: list[RunSpec], references: dict[str, list[Path]], baseline: str, started: float
) -> None:
    found = collect(cells, config.metric, references)
    if not found.items:
        raise InputError("no run is finished", "start it without --report_only", path=config.output_dir)
    entries = summarise(found)
    curves = {
        (item.set, item.language): {name: fit_learning_curve(scores) for name, scores in item.curve.items()}
        for item in found.items
        if item.curve
    }
    command = typed_command()
    settings = {name: value for name, value in vars(config).items() if name not in _OF_NO_CONSEQUENCE}
    english = english_rows(found)
    contrasts = contrast_tests(found, config.contrasts, bound=config.equivalence)
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
    for name in dict.fromkeys(entry["set"] for entry in contrasts):
        said = [entry["sentence"] for entry in contrasts if entry["set"] == name]
        report.findings.insert(0, {"place": f"Contrasts named beforehand, {name}", "sentences": said})
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
        contrasts=contrasts,
        curves=[
            {"set": name, "language": language, "method": method, **asdict(curve)}
            for (name, language), of_methods in curves.items()
            for method, curve in of_methods.items()
        ],
        more_bitext=report.all_more_bitext,
        english=english,
        bias=found.bias,
        cost=mean_costs(found),
    )
    for table in report.scores:
        print(f"\n{table.caption}\n\n{to_markdown(table)}")
    print(f"\n{report.marks}\n")
    for finding in report.findings:
        print(f"{finding['place']}: {' '.join(finding['sentences'])}\n")
    print("\n".join([*report.more_bitext, f"Report: {place}"]))


def _plans(cell: RunSpec, config: CompareConfig) -> None:
    if config.plans > 0 and cell.size is None and cell.seed == config.seeds[0]:
        keep_plans(cell, example_pairs(cell, config.plans))
