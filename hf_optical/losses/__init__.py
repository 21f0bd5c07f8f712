"""Losses: one per file. They know models; not files, not languages."""

from hf_optical.losses.ot_distillation import OTDistillationLoss
from hf_optical.losses.terms import parse_objective

__all__ = ["OTDistillationLoss", "parse_objective"]
