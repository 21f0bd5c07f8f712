"""Lower layers of the student that a training leaves as they are: fewer gradients, less memory, shorter steps."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from hf_optical.encoders.parts import embeddings_of, transformer_of
from hf_optical.errors import InputError

__all__ = ["frozen_layers", "layers_of"]


def layers_of(body: nn.Module) -> nn.ModuleList:
    """Return the transformer layers of an encoder of transformers, the lowest first.

    Raises:
        InputError: The encoder keeps them in no list of the length that its configuration says.
    """
    count = body.config.get_text_config().num_hidden_layers  # type: ignore[operator, union-attr]
    found = [one for one in body.modules() if isinstance(one, nn.ModuleList) and len(one) == count]
    if not found:
        raise InputError(
            f"{type(body).__name__} keeps its {count} layers in no list",
            "set freeze_layers to 0",
            field="freeze_layers",
        )
    return found[0]


@contextmanager
def frozen_layers(model: Any, lower: int) -> Iterator[None]:
    """Train only what lies above the lower layers of a model; the table of embeddings stays as it is too.

    No gradient is computed below, so that a step needs less time and memory. Afterwards everything can be trained again
    that could be before.

    Args:
        model: A dense or late-interaction encoder of sentence-transformers.
        lower: How many layers to freeze, from the lowest; 0 freezes nothing, not even the embeddings.

    Raises:
        InputError: As many layers as the model has, or more: nothing would be left to train.
    """
    if lower == 0:
        yield
        return
    body: Any = transformer_of(model).model
    layers = layers_of(body)
    if not 0 < lower < len(layers):
        raise InputError(
            f"is {lower}, and the student has {len(layers)} layers",
            f"give 1 to {len(layers) - 1}, or 0 to train all",
            field="freeze_layers",
        )
    table = getattr(body, "embeddings", None) or embeddings_of(body)
    frozen = [weight for part in (table, *layers[:lower]) for weight in part.parameters() if weight.requires_grad]
    for weight in frozen:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in frozen:
            weight.requires_grad_(True)
