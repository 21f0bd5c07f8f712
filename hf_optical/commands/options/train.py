"""Options of ``hf-optical train``, which belong to the training run."""

from __future__ import annotations

from hf_optical.runs.options import TrainConfig as TrainConfig
