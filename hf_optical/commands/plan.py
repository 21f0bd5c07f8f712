"""Estimate the cost of a training: time, memory, disk."""

from __future__ import annotations

from hf_optical.commands import train
from hf_optical.commands.options.plan import PlanConfig


def main(config: PlanConfig) -> None:
    """Estimate the training of these options; ``hf-optical train --plan`` was its former name."""
    config.plan = True
    train.main(config)
