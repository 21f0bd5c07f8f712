"""Compare methods on one budget: every arm, language and seed, then means, spread and paired tests.

``python recipes/compare.py --config recipes/configs/compare.yaml``. What is done is skipped; a killed comparison
goes on where it stopped.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hf_optical.comparison import cells_of, markdown_table, run_cells, summarise
from hf_optical.configuration import run
from hf_optical.errors import InputError
from hf_optical.evaluation.milestones import COLUMNS
from hf_optical.results import write_results


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
    jobs: int = field(default=1, metadata={"help": "Runs at a time."})
    keep_models: bool = field(default=False, metadata={"help": "Keep the trained models."})


def main(config: CompareConfig) -> None:
    """Run what is missing, then say what came out."""
    started = time.time()
    cells = cells_of(config.output_dir, config.common, config.languages, config.arms, config.seeds)
    baseline = config.baseline or next(iter(config.arms))
    if baseline not in config.arms:
        raise InputError(f"is {baseline!r}", f"name one of the arms: {', '.join(config.arms)}", field="baseline")
    if config.metric not in COLUMNS:
        raise InputError(f"is {config.metric!r}", f"use one of {', '.join(COLUMNS)}", field="metric")
    run_cells(cells, Path(__file__).with_name("train.py"), jobs=config.jobs, keep_models=config.keep_models)
    summary = summarise(cells, config.metric, baseline)
    table = markdown_table(summary, baseline)
    write_results(config.output_dir, evaluations=summary, started=started, config=vars(config))
    (Path(config.output_dir) / "report.md").write_text(table + "\n", encoding="utf-8")
    print(
        f"\n{config.metric}, mean over {len(config.seeds)} seeds ± standard deviation; "
        f"* beats raw, ° the aligned start, † {baseline}"
    )
    print(f"(paired randomisation test over queries, Holm-corrected, p < .05)\n\n{table}")


if __name__ == "__main__":
    run(main, CompareConfig)
