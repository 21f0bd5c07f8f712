"""Cosine cost of aligned tokens, with its gradient in closed form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from hf_optical.transport.cost import check_tokens, keep_real

_SUMMED = 64  # products that are summed at once on a CPU
Align = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Function from a cost, (B, n, m), to the weights of all pairs of tokens and the plan behind them, (B, n, m) each."""


def aligned_cost(
    student_tokens: Tensor,
    teacher_tokens: Tensor,
    align: Align,
    student_mask: Tensor | None = None,
    teacher_mask: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Compute ``<W, C>`` of each pair, with the cosine cost ``C`` and weights ``W`` computed from it and held constant.

    Value and gradient are those of `cosine_cost` followed by a product with ``W``. With unit vectors ``s_i`` and
    ``t_j``, the gradient of a student token is ``(s_i (s_i . v_i) - v_i) / |student token i|`` with ``v_i = sum_j W_ij
    t_j``. The backward pass therefore keeps no tensor of the size of the cost except ``W``.

    Args:
        student_tokens: Token vectors, ``(B, n, d)``, floating point.
        teacher_tokens: Token vectors, ``(B, m, d)``, floating point.
        align: Function that is called once, without gradient, with the cost in float32 (float64 for float64 tokens),
            and returns weights and plan.
        student_mask: Mask, ``(B, n)``, true on real tokens; by default all are real. Masked tokens are not read.
        teacher_mask: Mask, ``(B, m)``, likewise.

    Returns:
        The loss, ``(B,)``, and the plan, ``(B, n, m)``, without gradient.

    Raises:
        InputError: The shapes do not fit together.

    Example:
        >>> student = torch.tensor([[[3.0, 4.0]]], requires_grad=True)
        >>> loss, _ = aligned_cost(student, torch.tensor([[[1.0, 0.0]]]), lambda cost: (torch.ones_like(cost), cost))
        >>> loss
        tensor([0.4000], grad_fn=<_AlignedCostBackward>)
        >>> torch.autograd.grad(loss, student)[0]
        tensor([[[-0.1280,  0.0960]]])
    """
    check_tokens(student_tokens, teacher_tokens)
    result: tuple[Tensor, Tensor] = _AlignedCost.apply(
        student_tokens, teacher_tokens, student_mask, teacher_mask, align
    )
    return result


class _AlignedCost(torch.autograd.Function):
    """Autograd function of `aligned_cost`."""

    @staticmethod
    def forward(
        ctx: Any,
        student_tokens: Tensor,
        teacher_tokens: Tensor,
        student_mask: Tensor | None,
        teacher_mask: Tensor | None,
        align: Align,
    ) -> tuple[Tensor, Tensor]:
        double = torch.float64 in (student_tokens.dtype, teacher_tokens.dtype)
        dtype = torch.float64 if double else torch.float32
        with torch.autocast(student_tokens.device.type, enabled=False):
            student, student_scale = _units(student_tokens.to(dtype), student_mask, "student_mask")
            teacher, teacher_scale = _units(teacher_tokens.to(dtype), teacher_mask, "teacher_mask")
            cost = _cost(student, teacher)
            weights, plan = align(cost)
            loss = (weights * cost).sum(dim=(1, 2))
        ctx.save_for_backward(student, student_scale, teacher, teacher_scale, weights)
        ctx.dtypes = student_tokens.dtype, teacher_tokens.dtype
        ctx.mark_non_differentiable(plan)
        return loss, plan

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        student, student_scale, teacher, teacher_scale, weights = ctx.saved_tensors
        weights = weights * -gradient[:, None, None]
        found: list[Tensor | None] = [None, None]
        with torch.autocast(student.device.type, enabled=False):
            if ctx.needs_input_grad[0]:
                found[0] = _tangent(torch.bmm(weights, teacher), student, student_scale).to(ctx.dtypes[0])
            if ctx.needs_input_grad[1]:
                pulled = torch.bmm(weights.transpose(1, 2), student)
                found[1] = _tangent(pulled, teacher, teacher_scale).to(ctx.dtypes[1])
        return (*found, None, None, None)


def _cost_of_nothing(tokens: Tensor) -> Tensor:
    """Return the cost of a zero vector, 1, as a tensor that broadcasts over every cost."""
    return tokens.new_ones(1, 1, 1)


def _cost(student: Tensor, teacher: Tensor) -> Tensor:
    # With hardly any entropy, the last bits of the costs decide to which of two tokens mass goes. On a CPU, one long
    # sum of products has twice the rounding error of a few short sums, which take as long.
    width = _SUMMED if student.device.type == "cpu" else student.shape[2]
    parts = [side.split(width, dim=2) for side in (student, teacher)]
    cosines = student.new_zeros(())
    for left, right in zip(*parts, strict=True):
        cosines = torch.baddbmm(cosines, left, right.transpose(1, 2))
    return torch.sub(1.0, cosines).clamp_(0.0, 2.0)


def _units(tokens: Tensor, mask: Tensor | None, name: str) -> tuple[Tensor, Tensor]:
    """Return unit vectors and the inverse length of each vector, (B, n, 1), zero for a zero vector."""
    tokens = keep_real(tokens, mask, name)
    # The length is computed in double precision, because squares can overflow although the vectors do not.
    length = torch.linalg.vector_norm(tokens, dim=-1, keepdim=True, dtype=torch.float64)
    long_enough = length > torch.finfo(tokens.dtype).tiny ** 0.5
    scale = torch.where(long_enough, length, 1.0).reciprocal_().mul_(long_enough).to(tokens.dtype)
    return tokens * scale, scale


def _tangent(pulled: Tensor, units: Tensor, scale: Tensor) -> Tensor:
    """Project a gradient with respect to unit vectors, (B, n, d), onto their tangent spaces, divided by the lengths."""
    along = torch.linalg.vecdot(units, pulled).unsqueeze(-1)
    return pulled.addcmul_(units, along, value=-1.0).mul_(scale)
