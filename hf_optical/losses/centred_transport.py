"""Unbalanced transport of centred tokens with mass by norm: a cost that sees alignment and no sentence vector.

For any plan between unit tokens, its cost is half the squared distance of the two weighted means plus half the squared
distances of the tokens minus these means. The first part is sentence MSE whatever the plan is. The second part itself
is no loss to train with: it is lowest where all tokens of a sentence are equal, and a student trained by it collapses.
This term is its scale-free form, cosines of tokens minus the mean of the batch, which is how the soft scores read them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hf_optical.encoders.token_view import TokenView
from hf_optical.losses.centred_tokens import centred_tokens
from hf_optical.transport.cost import transport_cost
from hf_optical.transport.unbalanced import unbalanced_plan


def centred_transport_loss(student: TokenView, teacher: TokenView, epsilon: float = 0.1, reach: float = 0.5) -> Tensor:
    """Mean over the pairs of ``<P, C> / |P|``, P the detached unbalanced plan, C the cosine distance of centred tokens.

    The cost is divided by the transported mass, so that a translation does not cost more because it is longer.

    Args:
        student: Token view of the translations.
        teacher: Token view of their English, row by row.
        epsilon: Strength of the entropy; see :func:`~hf_optical.transport.unbalanced.unbalanced_plan`.
        reach: Cost at which mass rather stays untransported; see the same function.

    Returns:
        A scalar, 0 to 2.
    """
    mine, theirs = centred_tokens(student), centred_tokens(teacher)
    cost = (1 - torch.bmm(mine.units, theirs.units.transpose(1, 2))).clamp(0, 2)
    plan = unbalanced_plan(cost, mine.mass, theirs.mass, epsilon, reach)
    carried = plan.sum(dim=(1, 2)).clamp_min(1e-6)
    return (transport_cost(plan, cost) / carried).mean()
