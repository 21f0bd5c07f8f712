"""Distil an English retriever into a student that reads other languages, and measure the gain.

``hf-optical train --bitext FILE --language sw --eval FOLDER``, or ``accelerate launch -m hf_optical.train``. Without
arguments it trains on a small language pair that it generates itself. Flags override the YAML file; see ``--help``.
With ``--query_passages`` or ``--context_window`` it also trains retrieval, in monolingual and cross-lingual batches.
``hf-optical plan`` with the same options estimates time, memory and disk.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hf_optical.places import holding_output
from hf_optical.runs.options import TrainConfig

DEFAULT_TEACHER = "sentence-transformers/all-MiniLM-L6-v2"


@holding_output
def main(config: TrainConfig) -> None:
    """Prepare the embedded sample if no data is given, and run or plan the training."""
    if config.plan:
        from hf_optical.runs.planning.planner import plan_run

        with tempfile.TemporaryDirectory(prefix="hf_optical-plan-") as scratch:
            _prepare_sample(config, Path(scratch))
            print(plan_run(config).text())
        return
    from hf_optical.runs.training_run import (
        run_training,
    )  # imported late: it takes seconds, and --help does not need it

    run_training(config, _prepare_sample(config, Path(config.output_dir)))


def _prepare_sample(config: TrainConfig, folder: Path) -> Any:
    if config.teacher is None and config.index_rows:
        return None  # an index whose model is not available
    if config.teacher is None and (config.bitext or config.query_passages):
        config.teacher = DEFAULT_TEACHER
        print(f"Teacher: {DEFAULT_TEACHER}, because none is given; name the one that made your index with --teacher")
    if config.teacher is not None:
        return None
    from hf_optical.commands.sample import prepare
    from hf_optical.runs.training_run import start

    with start().main_process_first():
        sample = prepare(folder / "sample", seed=config.seed)
    for name, value in sample.options(config).items():
        setattr(config, name, value)
    return sample
