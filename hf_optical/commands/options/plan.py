"""Options of ``hf-optical plan``: those of a training."""

from __future__ import annotations

from dataclasses import dataclass

from hf_optical.runs.options import TrainConfig


@dataclass
class PlanConfig(TrainConfig):
    """Estimate time, memory and disk of a training with the same options, after three steps; nothing is kept."""
