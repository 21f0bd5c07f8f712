"""Copies of encoders: whether a student is one of its teacher, and a frozen one to compare with during training."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import torch
from sentence_transformers.base.modules import Transformer
from torch import nn

from hf_optical.encoders.parts import embeddings_of, transformer_of
from hf_optical.encoders.teachers import Teacher


def is_copy(student: Any, teacher: Teacher) -> bool:
    """Return whether a student has its teacher's weights and pieces, all of them or fewer of its vocabulary.

    Args:
        student: The student, before training.
        teacher: A model; a cache of its vectors has no weights to compare.
    """
    if not isinstance(teacher, nn.Module) or not isinstance(next(student.children()), Transformer):
        return False
    mine, theirs = dict(student.named_parameters()), dict(teacher.named_parameters())
    pieces, others = student.tokenizer.get_vocab(), teacher.tokenizer.get_vocab()
    if mine.keys() != theirs.keys() or not set(pieces) <= set(others):
        return False
    own = sorted(pieces, key=lambda piece: pieces[piece])
    rows, sources = [pieces[piece] for piece in own], [others[piece] for piece in own]
    table = embeddings_of(transformer_of(student).auto_model).weight
    return all(
        torch.equal(weight[rows], theirs[name][sources]) if weight is table else _equal(weight, theirs[name])
        for name, weight in mine.items()
    )


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
