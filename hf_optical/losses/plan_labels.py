"""An alignment used as labels: each student token is classified among all teacher tokens of the batch.

A transport cost only attracts. Used as the labels of a contrast over all tokens of the batch, the same plan also repels
each student token from every teacher token that it does not point to.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from hf_optical.encoders.token_view import TokenView
from hf_optical.losses.centred_tokens import CentredTokens, centred_tokens
from hf_optical.losses.greedy import greedy_alignment
from hf_optical.losses.nearest import nearest_alignment
from hf_optical.transport.marginals import independent_plan, uniform_marginals
from hf_optical.transport.sinkhorn import Sinkhorn

Plan = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Similarity (B, n, m) and the two masks -> mass (B, n, m)."""


def transport_plan(similarity: Tensor, student_mask: Tensor, teacher_mask: Tensor) -> Tensor:
    """Compute Sinkhorn's plan between uniform marginals with epsilon 0.05."""
    a, b = uniform_marginals(student_mask), uniform_marginals(teacher_mask)
    return Sinkhorn(epsilon=0.05, iterations=50)(1 - similarity, a, b)


def uniform_plan(similarity: Tensor, student_mask: Tensor, teacher_mask: Tensor) -> Tensor:
    """Spread each token over all teacher tokens of its pair: the control, which aligns nothing."""
    return independent_plan(uniform_marginals(student_mask), uniform_marginals(teacher_mask))


def greedy_plan(similarity: Tensor, student_mask: Tensor, teacher_mask: Tensor) -> Tensor:
    """Align tokens one to one, the most similar first; tokens without a partner carry no mass."""
    return _of_partners(similarity, greedy_alignment(similarity, student_mask, teacher_mask))


def nearest_plan(similarity: Tensor, student_mask: Tensor, teacher_mask: Tensor) -> Tensor:
    """Align each student token to the most similar teacher token of its pair."""
    return _of_partners(similarity, nearest_alignment(similarity, student_mask, teacher_mask))


PLANS: dict[str, Plan] = {
    "ot_labels": transport_plan,
    "greedy_labels": greedy_plan,
    "nearest_labels": nearest_plan,
    "uniform_labels": uniform_plan,
}
"""The function that computes the plan, by the name of its term."""


def plan_label_loss(student: TokenView, teacher: TokenView, plan: Plan, temperature: float = 0.05) -> Tensor:
    """Compute ``-sum_ij P_ij log softmax_j(s_i . t_j / temperature)``, j over all content tokens of the batch.

    The result is the mean over pairs. ``s`` and ``t`` are centred unit tokens, as in the soft token scores; P is
    detached and has mass 1 per pair.

    Args:
        student: Token view of the translations.
        teacher: Token view of their English, row by row.
        plan: One of `PLANS`.
        temperature: Temperature of the softmax.

    Returns:
        A scalar.
    """
    mine, theirs = centred_tokens(student), centred_tokens(teacher)
    with torch.no_grad():
        similarity = torch.bmm(mine.units, theirs.units.transpose(1, 2))
        mass = plan(similarity, mine.mask, theirs.mask)
        mass = mass / mass.sum(dim=(1, 2), keepdim=True).clamp_min(1e-6)
    return label_cross_entropy(mine, theirs, mass, temperature)


def label_cross_entropy(mine: CentredTokens, theirs: CentredTokens, mass: Tensor, temperature: float) -> Tensor:
    """Compute the cross-entropy for given mass, (B, n, m)."""
    pairs, m = theirs.mask.shape
    logits = mine.units.flatten(0, 1) @ theirs.units.flatten(0, 1).T / temperature  # (B n, B m)
    log_p = functional.log_softmax(logits.masked_fill(~theirs.mask.flatten(), -torch.inf), dim=1)
    log_p = log_p.view(pairs, -1, pairs, m)
    own = log_p[torch.arange(pairs), :, torch.arange(pairs)]  # (B, n, m): each pair's own teacher tokens
    return -(mass * own.masked_fill(mass == 0, 0.0)).sum(dim=(1, 2)).mean()


def _of_partners(similarity: Tensor, partner: Tensor) -> Tensor:
    mass = torch.zeros_like(similarity)
    mass.scatter_(2, partner.clamp_min(0).unsqueeze(2), (partner >= 0).to(mass.dtype).unsqueeze(2))
    return mass
