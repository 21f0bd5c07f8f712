"""Teach an English retriever a new query language, from bitext alone, without touching its index.

Names are loaded when first used, so that ``import hf_optical`` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "OTDistillationLoss": "hf_optical.losses",
    "OTDistillationTrainer": "hf_optical.training.trainer",
    "MultiVectorOTDistillationTrainer": "hf_optical.training.trainer",
    "OTDistillationTrainingArguments": "hf_optical.training.arguments",
    "OTDistillationDataCollator": "hf_optical.batching.collation",
    "HybridBatchSampler": "hf_optical.batching",
    "LexicalInjectionLoss": "hf_optical.losses",
    "LanguageAdapters": "hf_optical.adapters",
    "grow_student": "hf_optical.students",
}

__all__ = [*_HOMES, "__version__"]

if TYPE_CHECKING:  # for type checkers and editors, which cannot see through __getattr__
    from hf_optical.adapters import LanguageAdapters as LanguageAdapters
    from hf_optical.batching import HybridBatchSampler as HybridBatchSampler
    from hf_optical.batching.collation import OTDistillationDataCollator as OTDistillationDataCollator
    from hf_optical.losses import LexicalInjectionLoss as LexicalInjectionLoss
    from hf_optical.losses import OTDistillationLoss as OTDistillationLoss
    from hf_optical.students import grow_student as grow_student
    from hf_optical.training.arguments import OTDistillationTrainingArguments as OTDistillationTrainingArguments
    from hf_optical.training.trainer import MultiVectorOTDistillationTrainer as MultiVectorOTDistillationTrainer
    from hf_optical.training.trainer import OTDistillationTrainer as OTDistillationTrainer


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
