"""Options of a run: how a student is grown, its adapters, and lexical injection."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

from hf_optical.configuration.parsing import option
from hf_optical.runs.options.lora import LoraOptions


@dataclass
class StudentOptions:
    """Options of the student."""

    vocab_size: int | None = option(
        None,
        "Vocabulary size of a grown student (extend, replace): by default 40,000 pieces, or 5,000 more than the "
        "teacher's if it has that many already.",
    )
    new_pieces: int | None = option(None, "Number of pieces to add to the teacher's (extend), in place of vocab_size.")
    keep_marks: bool | Literal["auto"] = option(
        "auto",
        "Whether a grown student (extend, replace) keeps accents and tone marks: 'true' keeps those of its language "
        "and also learns its words without them, 'false' does as the teacher, 'auto' keeps them where a script writes "
        "vowels as marks.",
    )
    num_layers: int | None = option(None, "Number of layers of a grown student; all of the teacher's if not given.")
    row_init: str = option(
        "transport",
        "First embedding rows of a grown student: aligned in the bitext by 'transport' or by lexical models alone "
        "('bitext'), or by 'surface' form.",
    )
    start_lexicon: str | None = option(
        None,
        "Word pairs that, besides the bitext, help to align the first rows of a grown student.",
        path=True,
        yaml_only=True,
    )
    lexicon: str | None = option(None, "Word pairs to inject into the student before the distillation.", path=True)
    lexical_steps: int = option(300, "Optimizer steps of the lexical injection.", yaml_only=True)
    lexical_layer: int = option(
        2, "Layer at which words are injected; hf-optical probe recommends one.", yaml_only=True
    )
    adapter: str = option(
        "none",
        "'lora' trains a small adapter per language and leaves the student unchanged; 'none' trains all its weights.",
    )
    lora: LoraOptions = dataclasses.field(default_factory=LoraOptions)
    freeze_layers: int = option(
        0,
        "Number of lower layers that are not trained, nor are the embeddings then; steps get faster and need less "
        "memory.",
        yaml_only=True,
    )
