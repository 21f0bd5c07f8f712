"""Weights of the base model without its adapters: saving them and hashing them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils.other import AuxiliaryTrainingWrapper
from torch import nn


@contextmanager
def without_adapters(model: Any) -> Iterator[None]:
    """Remove the adapter wrappers inside the block, so that the base is saved under its own parameter names.

    Args:
        model: A transformers model with adapters. Its modules are swapped and restored, and no weight is copied.
    """
    swapped = list(_adapted(model))
    for parent, name, child in swapped:
        setattr(parent, name, _original(child))
    loaded, configs = model._hf_peft_config_loaded, model.__dict__.pop("peft_config", None)
    model._hf_peft_config_loaded = False
    try:
        yield
    finally:
        for parent, name, child in swapped:
            setattr(parent, name, child)
        model._hf_peft_config_loaded = loaded
        if configs is not None:
            model.peft_config = configs


def fingerprint(model: nn.Module, inner: Any) -> str:
    """Compute the SHA-256 of all weights of the base: names, types, shapes and values.

    The transformers model's own pooler is left out. Sentence-transformers does not use it, and if a checkpoint lacks
    it (XLM-R), every load initialises it at random.

    Args:
        model: The whole encoder.
        inner: Its transformers model, which holds the adapters.

    Returns:
        The hash in hexadecimal, the same on every device.
    """
    digest = hashlib.sha256()
    with without_adapters(inner):
        for name, value in sorted(model.state_dict().items()):
            if "pooler" in name.split("."):
                continue
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _adapted(parent: nn.Module) -> Iterator[tuple[nn.Module, str, Any]]:
    """Yield every outermost adapter wrapper with its parent module and its name there."""
    for name, child in parent.named_children():
        if isinstance(child, (BaseTunerLayer, AuxiliaryTrainingWrapper)):
            yield parent, name, child
        else:
            yield from _adapted(child)


def _original(child: Any) -> nn.Module:
    """Return the base's module inside nested adapter wrappers."""
    while isinstance(child, (BaseTunerLayer, AuxiliaryTrainingWrapper)):
        child = child.get_base_layer() if isinstance(child, BaseTunerLayer) else child.original_module
    return child
