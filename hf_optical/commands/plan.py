"""Estimate what a training would take: time, memory, disk. ``hf-optical plan`` is ``hf-optical train --plan``."""

from __future__ import annotations

from hf_optical.commands import train
from hf_optical.commands.options.plan import PlanConfig


def main(config: PlanConfig) -> None:
    """Run the training command with ``--plan``."""
    config.plan = True
    train.main(config)
