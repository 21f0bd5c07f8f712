"""The terms that compare sentence vectors, by name; at several widths where students are to be good at these."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from hf_optical.encoders.token_view import TokenView
from hf_optical.losses.matryoshka import cut_view

__all__ = ["SENTENCE_TERMS", "sentence_term"]

SENTENCE_TERMS = frozenset({"mse", "cos", "nce", "rank"})
"""Their names."""

Compare = Callable[[TokenView, TokenView], Tensor]


def sentence_term(
    name: str, student: TokenView, other: TokenView, *, contrast: Compare, rank: Compare, widths: Sequence[int] = ()
) -> Tensor:
    """One of `SENTENCE_TERMS`, a scalar.

    Args:
        name: Which; any other is the contrast.
        student: Of the translations.
        other: Of their English, row by row: the teacher's reading, or the student's own.
        contrast: Compares rows with those of the whole batch.
        rank: Compares rows with a bank.
        widths: The term is the mean of what it is with both sides cut to each of these; of whole vectors without any.
    """
    if widths:
        cuts = [(cut_view(student, width), cut_view(other, width)) for width in widths]
        return torch.stack([sentence_term(name, *cut, contrast=contrast, rank=rank) for cut in cuts]).mean()
    if name == "mse":
        return functional.mse_loss(student.sentence.float(), other.sentence.float())
    if name == "cos":
        return 1 - torch.cosine_similarity(student.sentence.float(), other.sentence.float()).mean()
    return rank(student, other) if name == "rank" else contrast(student, other)
