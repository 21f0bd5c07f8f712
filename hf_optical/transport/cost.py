"""Cost of moving one unit of mass from a student token to a teacher token."""

from __future__ import annotations

import torch

from hf_optical.errors import InputError
from hf_optical.transport._remaining import may_look


def cosine_cost(
    student_tokens: torch.Tensor,
    teacher_tokens: torch.Tensor,
    student_mask: torch.Tensor | None = None,
    teacher_mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """Compute the cosine distance between every student token and every teacher token of a pair.

    ``C[i, j] = 1 - cos(student token i, teacher token j)``, the cost of OPTICAL (arXiv 2301.12566). It is computed in
    float32 under any autocast (in float64 for float64 inputs) and is differentiable in both arguments. A zero vector
    has cost 1 to every vector and receives gradient zero.

    The solvers ignore the cost on padding, so that masks do not change plans. Pass masks if padding may have non-finite
    values and gradients are computed: a masked token counts as a zero vector, so that its content influences neither
    the cost nor a gradient.

    Args:
        student_tokens: Token vectors, ``(B, n, d)``, floating point.
        teacher_tokens: Token vectors, ``(B, m, d)``, floating point, of the same width ``d``.
        student_mask: Mask, ``(B, n)``, true (or non-zero) on real tokens; by default all are real.
        teacher_mask: Mask, ``(B, m)``, likewise.

    Returns:
        The cost, ``(B, n, m)``, in [0, 2].

    Raises:
        InputError: The shapes do not fit together.

    Example:
        >>> student = torch.tensor([[[1.0, 0.0], [0.0, 0.0]]])
        >>> teacher = torch.tensor([[[2.0, 0.0], [0.0, 1.0], [-3.0, 0.0]]])
        >>> cosine_cost(student, teacher)
        tensor([[[0., 1., 2.],
                 [1., 1., 1.]]])
    """
    check_tokens(student_tokens, teacher_tokens)
    double = torch.float64 in (student_tokens.dtype, teacher_tokens.dtype)
    dtype = torch.float64 if double else torch.float32
    with torch.autocast(device_type=student_tokens.device.type, enabled=False):
        student = _unit_rows(keep_real(student_tokens.to(dtype), student_mask, "student_mask"))
        teacher = _unit_rows(keep_real(teacher_tokens.to(dtype), teacher_mask, "teacher_mask"))
        return (1.0 - torch.bmm(student, teacher.transpose(1, 2))).clamp(0.0, 2.0)


def transport_cost(plan: torch.Tensor, cost: torch.Tensor) -> torch.Tensor:
    """Compute the cost of each plan, the Frobenius inner product ``<P, C>`` of each pair.

    With the plan detached, as the solvers return it, the gradient with respect to the cost is the plan itself.
    Entries without mass are left out, so that a non-finite cost on padding has no effect.

    Args:
        plan: Plans, ``(B, n, m)``.
        cost: Costs, ``(B, n, m)``.

    Returns:
        Cost of each plan, ``(B,)``, in units of the cost per unit of mass.

    Raises:
        InputError: The two shapes differ.

    Example:
        >>> plan = torch.tensor([[[0.5, 0.0], [0.0, 0.5]]])
        >>> transport_cost(plan, torch.tensor([[[0.2, torch.inf], [1.0, 0.4]]]))
        tensor([0.3000])
    """
    if plan.shape != cost.shape:
        raise InputError(
            f"transport_cost got a plan of shape {tuple(plan.shape)} and a cost of shape {tuple(cost.shape)}",
            "pass the plan that was computed for this cost",
            field="plan",
        )
    return (plan * cost.masked_fill(plan == 0, 0.0)).sum(dim=(1, 2))


def _unit_rows(tokens: torch.Tensor) -> torch.Tensor:
    # `F.normalize` cannot be used: its gradient at a zero vector is 1e12 times the incoming one. Vectors are scaled
    # first, because squares can overflow although the vectors do not. A cosine does not depend on the scale, so that
    # the scale may be detached.
    largest = tokens.detach().abs().amax(dim=-1, keepdim=True)
    long_enough = largest > torch.finfo(tokens.dtype).tiny ** 0.5
    tokens = tokens / torch.where(long_enough, largest, 1.0)
    square = tokens.square().sum(dim=-1, keepdim=True)
    return tokens * torch.where(long_enough, torch.where(long_enough, square, 1.0).rsqrt(), 0.0)


def keep_real(tokens: torch.Tensor, mask: torch.Tensor | None, name: str) -> torch.Tensor:
    """Return token vectors with zeros wherever the mask is false.

    Args:
        tokens: Token vectors, ``(B, n, d)``.
        mask: Mask, ``(B, n)``, true (or non-zero) on real tokens; with ``None`` the tokens are not changed.
        name: Name of the mask in an error message.

    Raises:
        InputError: The mask has another shape than the tokens.
    """
    if mask is None:
        return tokens
    if mask.shape != tokens.shape[:2]:
        raise InputError(
            f"cosine_cost got {name} of shape {tuple(mask.shape)} for tokens of shape {tuple(tokens.shape)}",
            f"pass a mask of shape {tuple(tokens.shape[:2])}",
            field=name,
        )
    if may_look(mask) and bool(mask.all()):
        return tokens
    # A product with the mask would keep NaN; `where` removes it from the value and from the gradient.
    return torch.where(mask.to(torch.bool).unsqueeze(-1), tokens, 0.0)


def largest_size(tensor: torch.Tensor, dim: int | tuple[int, ...]) -> torch.Tensor:
    """Compute the largest absolute value along dimensions; NaN if any value is NaN.

    It equals ``vector_norm(ord=inf)``, which takes about twenty times as long on a CPU.

    Example:
        >>> largest_size(torch.tensor([[1.0, -3.0], [2.0, float("nan")]]), dim=1)
        tensor([3., nan])
    """
    return torch.maximum(tensor.amax(dim), tensor.amin(dim).neg_())


def check_tokens(student: torch.Tensor, teacher: torch.Tensor) -> None:
    """Check that both tensors are token vectors of the same number of pairs and of the same width.

    Raises:
        InputError: The shapes do not fit together, or a tensor is not floating point.
    """
    for name, tokens in (("student_tokens", student), ("teacher_tokens", teacher)):
        if tokens.dim() != 3 or not tokens.is_floating_point():
            raise InputError(
                f"cosine_cost got {name} of shape {tuple(tokens.shape)} and type {tokens.dtype}",
                "pass token embeddings of shape (batch, tokens, width) in floating point",
                field=name,
            )
    if student.shape[0] != teacher.shape[0] or student.shape[2] != teacher.shape[2]:
        raise InputError(
            f"cosine_cost got student_tokens {tuple(student.shape)} and teacher_tokens {tuple(teacher.shape)}",
            "give both the same number of pairs and the same width; where widths differ, project the student into "
            "the teacher's space with a Dense module",
            field="student_tokens",
        )
