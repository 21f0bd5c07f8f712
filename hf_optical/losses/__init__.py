"""Losses, one per file. They work on models and tensors and know nothing of files or languages."""

from hf_optical.losses.index_contrast import IndexContrastLoss
from hf_optical.losses.lexical_injection import LexicalInjectionLoss
from hf_optical.losses.ot_distillation import OTDistillationLoss
from hf_optical.losses.terms import parse_objective, reads_english

__all__ = ["IndexContrastLoss", "LexicalInjectionLoss", "OTDistillationLoss", "parse_objective", "reads_english"]
