"""The embedded default: parallel sentences, questions and passages, and a tiny teacher, made without a network."""

from __future__ import annotations

from .generate import Sample, generate, write
from .prepare import Prepared, prepare
from .teacher import build_teacher

__all__ = ["Prepared", "Sample", "build_teacher", "generate", "prepare", "write"]
