"""Embedded sample: generated parallel sentences, questions and passages, and a tiny teacher.

Commands without ``--teacher`` use it, without a network. It is generated from word lists and grammars of this package.
"""

from __future__ import annotations

from hf_optical.commands.sample.generate import Sample, generate, write
from hf_optical.commands.sample.prepare import Prepared, prepare
from hf_optical.commands.sample.teacher import build_teacher

__all__ = ["Prepared", "Sample", "build_teacher", "generate", "prepare", "write"]
