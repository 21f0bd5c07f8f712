"""The embedded default: parallel sentences, questions and passages, and a tiny teacher, made without a network."""

from __future__ import annotations

from hf_optical.commands.sample.generate import Sample, generate, write
from hf_optical.commands.sample.prepare import Prepared, prepare
from hf_optical.commands.sample.teacher import build_teacher

__all__ = ["Prepared", "Sample", "build_teacher", "generate", "prepare", "write"]
