"""Frozen copy of a student, to compare with while the student itself is trained."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import nn

from hf_optical.encoders.teachers import Teacher


def frozen_copy(model: nn.Module, teacher: Teacher | None = None) -> nn.Sequential:
    """Copy the modules of an encoder as they are now; later training of the encoder leaves the copy unchanged.

    Args:
        model: A ``SentenceTransformer`` or ``MultiVectorEncoder``.
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
    shared: dict[int, nn.Parameter] = {}
    if isinstance(teacher, nn.Module):
        theirs = dict(teacher.named_parameters())
        for name, weight in model.named_parameters():
            other = theirs.get(name)
            if other is not None and _equal(weight, other):
                shared[id(weight)] = other
    modules = [deepcopy(module, shared) for module in model.children()]  # type: ignore[arg-type]
    return nn.Sequential(*modules).requires_grad_(False).eval()


def _equal(weight: nn.Parameter, other: nn.Parameter) -> bool:
    alike = (weight.shape, weight.dtype, weight.device) == (other.shape, other.dtype, other.device)
    return alike and torch.equal(weight, other)
