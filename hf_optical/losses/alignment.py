"""The transport term: how far the student's tokens are from the teacher's, under their optimal alignment."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from hf_optical.transport import TransportSolver, cosine_cost, transport_cost, uniform_marginals, weighted_marginals

SpecialTokens = Literal["match", "exclude", "transport"]


def content_mask(mask: Tensor, special: Tensor, special_tokens: SpecialTokens) -> Tensor:
    """Tokens that take part in the transport, (B, n), bool.

    A row that has nothing but special tokens keeps them, so that no row is without mass.

    Example:
        >>> mask = torch.tensor([[True, True, True, False]])
        >>> special = torch.tensor([[True, False, True, False]])
        >>> content_mask(mask, special, "match").tolist()
        [[False, True, False, False]]
    """
    if special_tokens == "transport":
        return mask
    content = mask & ~special
    return torch.where(content.any(dim=1, keepdim=True), content, mask)


def boundary_cost(cost: Tensor, student_special: Tensor, teacher_special: Tensor) -> tuple[Tensor, Tensor]:
    """Cost of matching the first special token to the first and the last to the last.

    Args:
        cost: (B, n, m).
        student_special: (B, n), bool.
        teacher_special: (B, m), bool.

    Returns:
        The mean of the two costs, (B,), and whether both sides have special tokens at all, (B,), bool.
    """
    rows = torch.arange(cost.shape[0], device=cost.device)
    first = cost[rows, first_special(student_special), first_special(teacher_special)]
    last = cost[rows, last_special(student_special), last_special(teacher_special)]
    both = student_special.any(1) & teacher_special.any(1)
    return torch.where(both, (first + last) / 2, torch.zeros_like(first)), both


def transport_loss(
    student: tuple[Tensor, Tensor, Tensor],
    teacher: tuple[Tensor, Tensor, Tensor],
    solver: TransportSolver,
    special_tokens: SpecialTokens = "match",
    weights: tuple[Tensor | None, Tensor | None] = (None, None),
) -> tuple[Tensor, Tensor]:
    """``<T*, C>`` per pair, with the plan detached (OPTICAL, arXiv 2301.12566, the distillation loss).

    Args:
        student: Token vectors (B, n, d), mask (B, n), special (B, n).
        teacher: Token vectors (B, m, d), mask (B, m), special (B, m).
        solver: Finds the plan.
        special_tokens: ``"match"``: special tokens are matched to each other, with the share of the loss that they
            have of the tokens; ``"exclude"``: left out; ``"transport"``: transported like any other token.
        weights: Importance of each token, (B, n) and (B, m); uniform where ``None``.

    Returns:
        The loss per pair, (B,), and the plan, (B, n, m).
    """
    (student_tokens, student_mask, student_special), (teacher_tokens, teacher_mask, teacher_special) = student, teacher
    cost = cosine_cost(student_tokens, teacher_tokens, student_mask, teacher_mask)
    a = _marginals(content_mask(student_mask, student_special, special_tokens), weights[0])
    b = _marginals(content_mask(teacher_mask, teacher_special, special_tokens), weights[1])
    plan = solver(cost, a, b)
    loss = transport_cost(plan, cost)
    if special_tokens == "match":
        matched, both = boundary_cost(cost, student_special, teacher_special)
        share = (_share(student_special, student_mask) + _share(teacher_special, teacher_mask)).to(cost.dtype) / 2
        share = torch.where(both, share, torch.zeros_like(share))
        loss = (1 - share) * loss + share * matched
    return loss, plan


def _marginals(mask: Tensor, weights: Tensor | None) -> Tensor:
    return uniform_marginals(mask) if weights is None else weighted_marginals(mask, weights)


def first_special(special: Tensor) -> Tensor:
    """Place of each row's first special token, (B,)."""
    return special.int().argmax(dim=1)


def last_special(special: Tensor) -> Tensor:
    """Place of each row's last special token, (B,)."""
    return special.shape[1] - 1 - special.flip(1).int().argmax(dim=1)


def _share(special: Tensor, mask: Tensor) -> Tensor:
    return special.sum(1) / mask.sum(1).clamp_min(1)
