"""Objective, steps, rate and size of vocabulary of a run that names none, by its models and the size of its bitext."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hf_optical.runs.options import TrainConfig

PASSES = 4
"""Passes over the bitext after which a training ends at the latest; held-out pairs mostly end it before."""
FEWEST_STEPS, MOST_STEPS = 100, 1000
RATE, LARGE_RATE, ADAPTER_RATE = 1e-4, 5e-5, 1e-3
LARGE_WIDTH = 768
"""Width of the hidden states (that of XLM-R base) from which on the smaller rate is taken."""


def with_defaults(config: TrainConfig, teacher: Any, pairs: int) -> TrainConfig:
    """The options with objective, steps, learning rate and a grown student's vocabulary where they are not given.

    Args:
        config: The options.
        teacher: Says which kind of model is trained, and how many pieces there are.
        pairs: Trained on; the steps depend on them.

    Raises:
        InputError: A vocabulary that leaves no room for new pieces.
    """
    from accelerate import PartialState
    from sentence_transformers import MultiVectorEncoder

    from hf_optical.losses.terms import default_objective
    from hf_optical.students.start import DEFAULT_SIZE, extended_size

    found: dict[str, Any] = {}
    if config.objective is None:
        found["objective"] = default_objective(late_interaction=isinstance(teacher, MultiVectorEncoder))
    if config.max_steps is None:
        batch = config.batch_size * config.gradient_accumulation_steps * PartialState().num_processes
        found["max_steps"] = default_steps(pairs, batch)
    if config.learning_rate is None:
        found["learning_rate"] = default_rate(config)
    if config.student == "extend":
        found |= {"vocab_size": extended_size(teacher, config.vocab_size, config.new_pieces), "new_pieces": None}
    elif config.student == "replace" and config.vocab_size is None:
        found["vocab_size"] = DEFAULT_SIZE
    return replace(config, **found)


def default_steps(pairs: int, batch: int) -> int:
    """Optimizer steps at most: four passes over the bitext, at least 100 and at most 1,000 steps.

    Args:
        pairs: Trained on.
        batch: Pairs of an optimizer step, over all processes.

    Example:
        >>> [default_steps(pairs, 32) for pairs in (500, 3596, 41_000)]
        [100, 450, 1000]
    """
    return min(max(-(-PASSES * pairs // batch), FEWEST_STEPS), MOST_STEPS)


def default_rate(config: TrainConfig) -> float:
    """Peak learning rate: 1e-3 for adapters, which begin at nothing; 5e-5 for models of width 768 or more; else 1e-4.

    A grown student is as wide as its teacher, a copy is the teacher; of any other student its own width counts.

    Args:
        config: The options, with ``student``, ``teacher`` and ``adapter``.
    """
    from hf_optical.students.grow import VOCABULARIES

    if config.adapter != "none":
        return ADAPTER_RATE
    width = hidden_width(str(config.teacher if config.student in VOCABULARIES else config.student))
    return LARGE_RATE if width is not None and width >= LARGE_WIDTH else RATE


def hidden_width(name_or_path: str) -> int | None:
    """Width of a model's hidden states, by its configuration alone; ``None`` where that does not say it."""
    from transformers import AutoConfig

    try:
        found = AutoConfig.from_pretrained(name_or_path)
    except (OSError, ValueError):  # loading the model will say what is wrong with it
        return None
    return getattr(found, "hidden_size", None)
