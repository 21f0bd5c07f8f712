"""Distil an English retriever into a student that reads other languages, and measure what that brought.

``accelerate launch recipes/train.py --config recipes/configs/swahili.yaml --bitext FILE --eval FOLDER``. Without
arguments it runs on a small language pair that it generates itself. Flags override the file; see ``--help``.
With ``--pairs`` or ``--contexts`` it also trains retrieval, in monolingual and cross-lingual batches.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hf_optical.configuration import run
from hf_optical.runs.options import TrainConfig
from hf_optical.runs.training_run import run_training, start


def main(config: TrainConfig) -> None:
    """Prepare the embedded default where no data is given, and run."""
    run_training(config, _prepare_sample(config))


def _prepare_sample(config: TrainConfig) -> Any:
    if config.bitext or config.teacher is not None:
        return None
    from sample import prepare  # beside this file

    with start().main_process_first():
        sample = prepare(Path(config.output_dir) / "sample", seed=config.seed)
    for name, value in sample.options(config).items():
        setattr(config, name, value)
    return sample


if __name__ == "__main__":
    run(main, TrainConfig)
