"""Share of the untrained student in the weights that a run saves."""

from __future__ import annotations

from pathlib import Path

from hf_optical.runs.options import TrainConfig
from hf_optical.runs.student import start_report
from hf_optical.training.weight_mean import SHARE


def start_share_of(config: TrainConfig) -> float:
    """Return the share that is set, or else `SHARE` for a student mapped onto the index, and 0 for others.

    A mapped encoder mostly reads the language before training, and has no anchor; held-out pairs show where it does
    not. For other students and for language adapters the mean was of no use or not measured.

    Args:
        config: The options of the run.
    """
    if config.start_share is not None:
        return config.start_share
    mapped = (start_report(Path(config.output_dir)) or {}).get("map") is not None
    return SHARE if mapped and config.adapter == "none" else 0.0
