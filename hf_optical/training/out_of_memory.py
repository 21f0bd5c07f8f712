"""Remedies for a training that ran out of memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hf_optical.units import shown_bytes

# Adam keeps two numbers of 4 bytes for every trained weight, in addition to its gradient.
_BYTES_PER_TRAINED = 12
_CONTRASTIVE = {"nce", "self_nce"}


def compares_batch(objective: str | Mapping[str, float]) -> bool:
    """Return whether an objective compares the pairs of a batch, so that a smaller batch has fewer negatives.

    Example:
        >>> compares_batch("ot+0.5*nce"), compares_batch("ot+rank")
        (True, False)
    """
    from hf_optical.losses.terms import parse_objective  # imports PyTorch, which --help does not need

    return not _CONTRASTIVE.isdisjoint(parse_objective(objective))


def training_remedies(args: Any, model: Any, *, adapters: bool) -> list[str]:
    """List what to change in a training that ran out of memory, with its own numbers.

    Args:
        args: The training arguments.
        model: The student; its trained weights are counted.
        adapters: Whether language adapters are trained.

    Returns:
        The remedies in words, best first.
    """
    found = []
    batch, accumulation = int(args.per_device_train_batch_size), int(args.gradient_accumulation_steps)
    if batch > 1:
        half = f"batch_size {batch // 2} with gradient_accumulation_steps {accumulation * 2}"
        note = " (fewer negatives for nce)" if compares_batch(args.objective) else ""
        found.append(f"{half} in place of {batch} with {accumulation}{note}")
    length = args.max_length
    if isinstance(length, Mapping):  # lengths by task: the longest is taken
        length = max(length.values(), default=None)
    if length is None or length > 32:
        found.append(f"max_length {length // 2 if length else 64} in place of {length or 'no limit'}")
    if not (args.bf16 or args.fp16) and getattr(args.device, "type", "cpu") != "cpu":
        found.append("bf16 (or fp16 where the GPU has no bfloat16)")
    trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    if not adapters and trained:
        found.append(
            f"a LoRA adapter (--adapter lora): gradients and optimizer of {trained / 1e6:.0f} million weights take "
            f"{shown_bytes(_BYTES_PER_TRAINED * trained)}"
        )
    return found or ["a smaller student (fewer layers), or a larger machine"]
