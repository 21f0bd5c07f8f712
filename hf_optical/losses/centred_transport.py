"""The part of a transport cost that depends on the plan: the cost of tokens centred on their own sentence.

For unit tokens and any plan P of mass 1, with weighted means s' and t' of the tokens under its marginals,
``<P, 1 - cos> = |s' - t'|^2 / 2 + sum_ij P_ij |(s_i - s') - (t_j - t')|^2 / 2``. The first part is sentence MSE,
whatever the plan is; this term is the second.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hf_optical.encoders.token_view import TokenView
from hf_optical.losses.centred_tokens import ContentTokens, content_tokens
from hf_optical.transport.cost import transport_cost
from hf_optical.transport.unbalanced import unbalanced_plan


def centred_transport_loss(student: TokenView, teacher: TokenView, epsilon: float = 0.1, reach: float = 0.5) -> Tensor:
    """Mean over the pairs of ``sum_ij P_ij |(s_i - s') - (t_j - t')|^2 / 2``, P the detached plan divided by its mass.

    The plan is unbalanced, for the same cost with the tokens centred on the means under their masses. Because its mass
    is divided out, a translation does not cost more because it is longer.

    Args:
        student: Token view of the translations.
        teacher: Token view of their English, row by row.
        epsilon: Strength of the entropy; see :func:`~hf_optical.transport.unbalanced.unbalanced_plan`.
        reach: Cost at which mass rather stays untransported; see the same function.

    Returns:
        A scalar, at least 0; 0 if the tokens of each pair differ by a shift alone.
    """
    mine, theirs = content_tokens(student), content_tokens(teacher)
    with torch.no_grad():
        a, b = mine.mass, theirs.mass
        plan = unbalanced_plan(_centred_cost(mine, theirs, a, b), a, b, epsilon, reach)
        plan = plan / plan.sum(dim=(1, 2), keepdim=True).clamp_min(1e-6)
    return transport_cost(plan, _centred_cost(mine, theirs, plan.sum(2), plan.sum(1))).mean()


def _centred_cost(mine: ContentTokens, theirs: ContentTokens, a: Tensor, b: Tensor) -> Tensor:
    """Half the squared distances, (B, n, m), of tokens minus their sentence's mean under the weights a and b."""
    x, y = (side.units - torch.bmm(w.unsqueeze(1), side.units) for side, w in ((mine, a), (theirs, b)))
    squares = x.square().sum(2).unsqueeze(2) + y.square().sum(2).unsqueeze(1)
    return (squares / 2 - torch.bmm(x, y.transpose(1, 2))).clamp_min(0)
