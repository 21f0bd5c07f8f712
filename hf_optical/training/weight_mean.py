"""Mean of the weights of a student before and after training, which keeps more of what it read before."""

from __future__ import annotations

import torch
from torch import Tensor

from hf_optical.errors import InputError

SHARE = 0.25
"""Share of the untrained student in a mapped one, chosen on pairs of other kinds of text than those trained on."""


def check_start_share(share: float) -> None:
    """Raise an `InputError` for a share of the untrained student that is not from 0 to below 1."""
    if not 0 <= share < 1:
        raise InputError(f"is {share}", "give a share of 0 or more and below 1", field="start_share")


def weight_mean(untrained: Tensor, trained: Tensor, share: float) -> Tensor:
    """Compute ``share * untrained + (1 - share) * trained`` of one weight.

    A student that read the language before training learns its bitext's kind of text and loses some of what it read
    in others. Along the line between both its searches of such texts mostly rise first, and then gain nothing more or
    fall.

    Args:
        untrained: The weight before training.
        trained: The weight after training, of the same shape.
        share: Share of the untrained student: 0 for the trained one alone, below 1.

    Returns:
        The mean, with the type of the trained weight; it is computed in float32.

    References:
        - Wortsman et al.: Robust fine-tuning of zero-shot models, CVPR 2022, https://arxiv.org/abs/2109.01903.
        - Xiao et al.: LM-Cocktail, Findings of ACL 2024, https://arxiv.org/abs/2311.13534, for retrievers.

    Example:
        >>> weight_mean(torch.tensor([0.0, 2.0]), torch.tensor([1.0, 2.0]), 0.25)
        tensor([0.7500, 2.0000])
    """
    return torch.lerp(untrained.float(), trained.float(), 1 - share).to(trained.dtype)
