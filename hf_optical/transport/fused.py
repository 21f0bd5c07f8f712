"""Transport term in one fused kernel: conditions for its use, and its gradient."""

from __future__ import annotations

import importlib.util
import os
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from hf_optical.errors import InputError
from hf_optical.transport import sinkhorn
from hf_optical.transport._checks import require
from hf_optical.transport.cost import check_tokens
from hf_optical.transport.ipot import IPOT
from hf_optical.transport.kernel_call import interpreted, run_kernel
from hf_optical.transport.kernel_launch import fitted
from hf_optical.transport.sinkhorn import Sinkhorn
from hf_optical.transport.solver import TransportSolver
from hf_optical.transport.special_token_match import SpecialTokenMatch

LONGEST = 128
"""Largest number of tokens per side that fits into a multiprocessor's registers."""
SWITCH = "HF_OPTICAL_FUSED"
"""Environment variable; ``0`` switches the kernel off."""
_SMALLEST_BETA = 0.05  # exp(-2 / 0.05) does not underflow, not even after a few iterations
_OFF = {"0", "off", "false", "no"}


def fused_fits(student_tokens: Tensor, teacher_tokens: Tensor, solver: TransportSolver) -> bool:
    """Return whether the fused kernel supports these tokens and this solver on their device.

    It needs CUDA and Triton (which PyTorch for CUDA installs), up to 128 tokens per side in float32, float16 or
    bfloat16, a teacher without gradient, and one of the solvers `IPOT` (with beta of at least 0.05) and `Sinkhorn`
    (with an epsilon for which it does not work on logarithms), not a subclass of them. Devices with little on-chip
    memory support up to 64 tokens on one of the sides: a T4 (which has no bfloat16), and L4, A10 and RTX in float32.
    ``HF_OPTICAL_FUSED=0`` switches the kernel off.

    Example:
        >>> fused_fits(torch.ones(1, 2, 4, dtype=torch.float64), torch.ones(1, 2, 4), IPOT())
        False
    """
    if os.environ.get(SWITCH, "1").lower() in _OFF:
        return False
    halves = (torch.float32, torch.float16, torch.bfloat16)
    return (
        _on_a_device_for_triton(student_tokens)
        and student_tokens.device == teacher_tokens.device
        and all(tokens.dtype in halves and tokens.shape[1] <= LONGEST for tokens in (student_tokens, teacher_tokens))
        and not teacher_tokens.requires_grad
        and _is_known(solver)
        and fitted(student_tokens, teacher_tokens, proximal=isinstance(solver, IPOT)) is not None
    )


def fused_transport(
    student_tokens: Tensor,
    teacher_tokens: Tensor,
    a: Tensor,
    b: Tensor,
    solver: TransportSolver,
    ends: SpecialTokenMatch | None = None,
    *,
    fits: bool | None = None,
) -> Tensor:
    """Compute ``<W, C>`` of each pair, with its gradient with respect to the student's tokens, in one kernel.

    The result is that of `aligned_cost` with the plan of ``solver``, weighted by ``ends``. The gradient is computed
    together with the loss, in float32. Tokens without mass are not read, unless they are among the ends.

    Args:
        student_tokens: Token vectors, ``(B, n, d)``, for which `fused_fits` is true.
        teacher_tokens: Token vectors, ``(B, m, d)``, without gradient.
        a: Row marginals, ``(B, n)``, zero on padding, such as those of `uniform_marginals`.
        b: Column marginals, ``(B, m)``, likewise.
        solver: `IPOT` or `Sinkhorn`; with a tolerance, the iterations of each pair stop independently.
        ends: Special tokens to match, if any.
        fits: Result of `fused_fits` for these tokens, if the caller has it already; by default it is computed.

    Returns:
        The loss of each pair, ``(B,)``, float32.

    Raises:
        InputError: The shapes do not fit together, or the kernel does not support the tokens or the solver.
    """
    check_tokens(student_tokens, teacher_tokens)
    if a.shape != student_tokens.shape[:2] or b.shape != teacher_tokens.shape[:2]:
        raise InputError(
            f"fused_transport got tokens {tuple(student_tokens.shape)} and {tuple(teacher_tokens.shape)} with "
            f"marginals {tuple(a.shape)} and {tuple(b.shape)}",
            "pass one mass per token",
            field="a",
        )
    if not (fused_fits(student_tokens, teacher_tokens, solver) if fits is None else fits):
        raise InputError(
            f"the fused kernel does not support {solver!r} on {student_tokens.device} for tokens "
            f"{tuple(student_tokens.shape)} of {student_tokens.dtype}",
            "use aligned_cost with the solver, which supports all tokens and devices",
            field="solver",
        )
    loss: Tensor
    if torch.compiler.is_compiling():
        from hf_optical.transport.kernel_op import as_numbers, fused_transport_op

        parts = (None, None) if ends is None else (ends.places, ends.share)
        loss, _ = fused_transport_op(student_tokens, teacher_tokens, a, b, *parts, *as_numbers(solver))
    else:
        loss = _Fused.apply(student_tokens, teacher_tokens, a, b, solver, ends)
    require(
        torch.isfinite(loss.detach()),
        "the transport cost is not finite",
        "look for NaN or overflow in the token embeddings",
        field="student_tokens",
    )
    return loss


class _Fused(torch.autograd.Function):
    """Autograd function of `fused_transport`, whose forward pass computes the gradient too."""

    @staticmethod
    def forward(
        ctx: Any,
        student: Tensor,
        teacher: Tensor,
        a: Tensor,
        b: Tensor,
        solver: TransportSolver,
        ends: SpecialTokenMatch | None,
    ) -> Tensor:
        result = run_kernel(student, teacher, a, b, solver, ends, gradient=ctx.needs_input_grad[0])
        if result.gradient is not None:
            ctx.save_for_backward(result.gradient)
        ctx.dtype = student.dtype
        return result.loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return (gradient * upstream[:, None, None]).to(ctx.dtype), None, None, None, None, None


def _is_known(solver: TransportSolver) -> bool:
    # A subclass may solve the problem differently, so the exact class is compared.
    if type(solver) is IPOT:
        return solver.beta >= _SMALLEST_BETA
    return type(solver) is Sinkhorn and solver.epsilon >= sinkhorn.KERNEL_EPSILON


def _on_a_device_for_triton(tokens: Tensor) -> bool:
    return (tokens.is_cuda or interpreted()) and _has_triton()


@cache
def _has_triton() -> bool:
    return importlib.util.find_spec("triton") is not None
