"""The bitext doctor, which finds defects of sentence pairs before training."""

from __future__ import annotations

from hf_optical.doctor.checks import Checks
from hf_optical.doctor.cleaning import write_clean
from hf_optical.doctor.examination import Examination, examine
from hf_optical.doctor.overlap import EvaluationIndex, evaluation_index
from hf_optical.doctor.quick import quick_check
from hf_optical.doctor.verdict import Verdict

__all__ = [
    "Checks",
    "EvaluationIndex",
    "Examination",
    "Verdict",
    "evaluation_index",
    "examine",
    "quick_check",
    "write_clean",
]
