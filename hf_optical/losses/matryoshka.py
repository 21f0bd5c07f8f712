"""Sentence vectors cut to their first dimensions, so that a student is also good where only these are stored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sentence_transformers.sentence_transformer.losses import AdaptiveLayerLoss, MatryoshkaLoss
from sentence_transformers.sentence_transformer.losses.adaptive_layer import ForwardDecorator as LayerDecorator
from sentence_transformers.sentence_transformer.losses.matryoshka import ForwardDecorator as WidthDecorator
from torch import Tensor, nn
from torch.nn import functional

from hf_optical.encoders.token_view import TokenView
from hf_optical.errors import InputError

__all__ = ["check_dimensions", "cut_bank", "cut_view", "refuse_wrapped", "refuse_wrapper"]

_PROBLEM = "is wrapped around a distillation loss, of which it would cut the student's vectors and not the teacher's"
_REMEDY = (
    "give the dimensions to the loss itself, OTDistillationLoss(student, teacher, matryoshka_dims=[256, 64]), and take "
    "the wrapper away"
)


def check_dimensions(dimensions: Sequence[int] | None, width: int | None) -> tuple[int, ...]:
    """The dimensions, largest first; empty where none are given.

    Args:
        dimensions: As a user gives them.
        width: Of the sentence vectors; None where there are none, as in late interaction.

    Raises:
        InputError: One is below 1 or above the width, or stands twice; or there is no width.

    Example:
        >>> check_dimensions([64, 384, 128], 384)
        (384, 128, 64)
    """
    found = tuple(sorted(dimensions or (), reverse=True))
    if found and width is None:
        raise InputError("a late-interaction student has no sentence vector", "leave it out", field="matryoshka_dims")
    if wrong := [one for one in found if one < 1 or one > (width or 0)]:
        raise InputError(
            f"is {wrong[0]}, and sentence vectors have {width} numbers",
            f"give whole numbers from 1 to {width}",
            field="matryoshka_dims",
        )
    if len(set(found)) != len(found):
        raise InputError(f"{list(found)} names a dimension twice", "name each once", field="matryoshka_dims")
    return found


def cut_view(view: TokenView, dimension: int) -> TokenView:
    """The same view with the unit vectors of the first dimensions of its sentences; whole vectors stay as they are.

    Args:
        view: Of a dense model; sentence vectors of (B, d).
        dimension: At most d.
    """
    if dimension == view.sentence.shape[-1]:
        return view

    def cut(vectors: Tensor) -> Tensor:
        return functional.normalize(vectors[..., :dimension].float(), dim=-1)

    return replace(view, sentence=cut(view.sentence), target=None if view.target is None else cut(view.target))


def cut_bank(bank: Tensor, dimension: int) -> Tensor:
    """The first dimensions of the vectors of a bank, (N, dimension), not made unit: who ranks by cosines does that."""
    return bank[:, :dimension]


def refuse_wrapper(model: nn.Module) -> None:
    """Stop where a wrapper of sentence-transformers cuts what the model returns.

    The wrapper multiplies the loss's dictionary of terms by a number, which says ``TypeError``.

    Raises:
        InputError: Says how the loss takes dimensions.
    """
    if isinstance(getattr(model, "forward", None), WidthDecorator | LayerDecorator):
        raise InputError(f"a loss that trains several dimensions or layers {_PROBLEM}", _REMEDY, field="loss")


def refuse_wrapped(losses: Any, kinds: tuple[type, ...]) -> None:
    """Stop before a training where a wrapper of sentence-transformers has one of these losses inside.

    Args:
        losses: A loss, or losses by data set.
        kinds: Classes of losses that no wrapper can take apart.

    Raises:
        InputError: Says how the loss takes dimensions.
    """
    for loss in losses.values() if isinstance(losses, dict) else [losses]:
        inner = loss.loss if isinstance(loss, MatryoshkaLoss | AdaptiveLayerLoss) else None
        while isinstance(inner, MatryoshkaLoss | AdaptiveLayerLoss):  # Matryoshka2dLoss is one around the other
            inner = inner.loss
        if isinstance(inner, kinds):
            raise InputError(f"{type(loss).__name__} {_PROBLEM}", _REMEDY, field="loss")
