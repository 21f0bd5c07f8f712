"""Copies of encoders: whether a student is one of its teacher, and a frozen one to compare with during training."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from torch import nn

from hf_optical.encoders.teachers import Teacher


def is_copy(student: Any, teacher: Teacher) -> bool:
    """Return whether a student has its teacher's weights and pieces, all of them or fewer of its vocabulary.

    Args:
        student: The student, before training.
        teacher: A model; a cache of its vectors has no weights to compare.
    """
    if not isinstance(teacher, nn.Module):
        return False
    mine, theirs = dict(student.named_parameters()), dict(teacher.named_parameters())
    if mine.keys() != theirs.keys() or not set(student.tokenizer.get_vocab()) <= set(teacher.tokenizer.get_vocab()):
        return False
    # A table with fewer rows has its teacher's rows at other numbers.
    whole = [name for name, weight in mine.items() if len(weight.shape) != 2 or weight.shape == theirs[name].shape]
    return len(whole) >= len(mine) - 1 and all(_equal(mine[name], theirs[name]) for name in whole)


def frozen_copy(model: nn.Module, teacher: Teacher | None = None) -> nn.Sequential:
    """Copy the modules of an encoder as they are now; later training of the encoder leaves the copy unchanged.

    Args:
        model: A ``SentenceTransformer``.
        teacher: A frozen model whose equal weights the copy shares, so that the copy of a student that starts with its
            teacher's weights takes no memory.

    Returns:
        The modules without gradients, in evaluation mode; called with features as the encoder is.

    Example:
        >>> from sentence_transformers import SentenceTransformer
        >>> encoder = SentenceTransformer(modules=[nn.Linear(2, 2)], device="cpu")
        >>> copy = frozen_copy(encoder)
        >>> _ = encoder[0].weight.data.zero_()
        >>> bool(copy[0].weight.any()), copy[0].weight.requires_grad
        (True, False)
    """
    shared: dict[int, Any] = {}
    if isinstance(teacher, nn.Module):
        theirs = dict(teacher.named_parameters())
        for name, weight in model.named_parameters():
            other = theirs.get(name)
            if other is not None and _equal(weight, other):
                shared[id(weight)] = other
    return nn.Sequential(*(deepcopy(module, shared) for module in model.children())).requires_grad_(False).eval()


def _equal(weight: nn.Parameter, other: nn.Parameter) -> bool:
    alike = (weight.shape, weight.dtype, weight.device) == (other.shape, other.dtype, other.device)
    return alike and torch.equal(weight, other)
