"""Options of ``hf-optical plan``: those of a training, and the machine to plan for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hf_optical.configuration.parsing import option
from hf_optical.runs.options import TrainConfig


@dataclass
class PlanConfig(TrainConfig):
    """Estimate time, memory and disk of a training with the same options, after three steps; nothing is kept."""

    HEADINGS: ClassVar[dict[str, str]] = {**TrainConfig.HEADINGS, "gpu": "Machine to plan for"}

    gpu: str | None = option(
        None, "Machine to plan for: t4, v100, l4, a100 or h100; this machine if not given.", former={"on": None}
    )
    memory_gb: float | None = option(
        None, "Memory to plan for, in GB of 10^9 bytes; the memory of the machine if not given."
    )
