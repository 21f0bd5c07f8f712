"""Defaults of objective, steps, learning rate and vocabulary size, which depend on the models and the bitext's size."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hf_optical.runs.options import TrainConfig

PASSES = 4
"""Largest number of passes over the bitext; held-out pairs mostly stop training earlier."""
FEWEST_STEPS, MOST_STEPS = 100, 1000
RATE, LARGE_RATE, ADAPTER_RATE = 1e-4, 5e-5, 1e-3
LARGE_WIDTH = 768
"""Hidden width (that of XLM-R base) from which the smaller learning rate is used."""


def with_defaults(config: TrainConfig, teacher: Any, pairs: int) -> TrainConfig:
    """Fill in objective, steps, learning rate and a grown student's vocabulary size if they are not given.

    Args:
        config: The options.
        teacher: The teacher, whose class and vocabulary determine objective and vocabulary size.
        pairs: Number of training pairs, on which the number of steps depends.

    Raises:
        InputError: The vocabulary size leaves no room for new pieces.
    """
    from accelerate import PartialState
    from sentence_transformers import MultiVectorEncoder

    from hf_optical.losses.terms import default_objective
    from hf_optical.students.grow import DEFAULT_SIZE, vocabulary_size

    found: dict[str, Any] = {}
    if config.objective is None:
        found["objective"] = default_objective(late_interaction=isinstance(teacher, MultiVectorEncoder))
    if config.max_steps is None:
        batch = config.batch_size * config.gradient_accumulation_steps * PartialState().num_processes
        found["max_steps"] = default_steps(pairs, batch)
    if config.learning_rate is None:
        found["learning_rate"] = _default_rate(config)
    if config.student == "extend":
        found |= {"vocab_size": vocabulary_size(teacher, config.vocab_size, config.new_pieces), "new_pieces": None}
    elif config.student == "replace" and config.vocab_size is None:
        found["vocab_size"] = DEFAULT_SIZE
    return replace(config, **found)


def default_steps(pairs: int, batch: int) -> int:
    """Return the largest number of optimizer steps: four passes over the bitext, between 100 and 1,000 steps.

    Args:
        pairs: Number of training pairs.
        batch: Pairs per optimizer step, over all processes.

    Example:
        >>> [default_steps(pairs, 32) for pairs in (500, 3596, 41_000)]
        [100, 450, 1000]
    """
    return min(max(-(-PASSES * pairs // batch), FEWEST_STEPS), MOST_STEPS)


def checkpoint_interval(given: int | None, steps: int) -> int:
    """Return the steps between checkpoints: those given, or a tenth of the training, between 10 and 500 steps.

    Example:
        >>> [checkpoint_interval(None, steps) for steps in (64, 711, 20_000)], checkpoint_interval(7, 64)
        ([10, 72, 500], 7)
    """
    return given or min(max(-(-steps // 10), 10), 500)


def _default_rate(config: TrainConfig) -> float:
    """Return the peak learning rate: 1e-3 for adapters, 5e-5 for models of width 768 or more, otherwise 1e-4.

    Adapters start as the zero update and need larger steps. A grown or copied student has its teacher's width.

    Args:
        config: The options, with ``student``, ``teacher`` and ``adapter``.
    """
    from hf_optical.students.grow import VOCABULARIES

    if config.adapter != "none":
        return ADAPTER_RATE
    width = _hidden_width(str(config.teacher if config.student in VOCABULARIES else config.student))
    return LARGE_RATE if width is not None and width >= LARGE_WIDTH else RATE


def _hidden_width(name_or_path: str) -> int | None:
    """Read the width of a model's hidden states from its configuration; ``None`` if it is not stated there."""
    from transformers import AutoConfig

    try:
        found = AutoConfig.from_pretrained(name_or_path)
    except (OSError, ValueError):  # loading the model reports what is wrong
        return None
    return getattr(found, "hidden_size", None)
