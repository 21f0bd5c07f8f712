"""The transport term in one kernel: when it fits, and how it is called."""

from __future__ import annotations

import importlib.util
import os
from contextlib import nullcontext
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from hf_optical.errors import InputError
from hf_optical.transport import ipot, sinkhorn
from hf_optical.transport._checks import require
from hf_optical.transport.cost import check_tokens
from hf_optical.transport.ends import Ends
from hf_optical.transport.ipot import IPOT
from hf_optical.transport.kernel_launch import Launch, fitted
from hf_optical.transport.sinkhorn import Sinkhorn
from hf_optical.transport.solver import TransportSolver

LONGEST = 128
"""Most tokens of a side that a multiprocessor's registers hold through all iterations."""
SWITCH = "HF_OPTICAL_FUSED"
"""Environment variable; ``0`` switches the kernel off."""
_SMALLEST_BETA = 0.05  # exp(-2 / 0.05) is far from underflow, also after a few iterations
_OFF = {"0", "off", "false", "no"}


def fused_fits(student_tokens: Tensor, teacher_tokens: Tensor, solver: TransportSolver) -> bool:
    """Whether the fused kernel can take these tokens and this solver, here and now.

    It can on CUDA, with Triton installed (PyTorch for CUDA brings it), for up to 128 tokens a side in float32,
    float16 or bfloat16, a teacher without gradient, and exactly the solvers `IPOT` (beta of at least 0.05) and
    `Sinkhorn` (where it works on the kernel, not on logarithms). Devices with little memory on the chip take fewer
    tokens: up to 64 on one of the sides, a T4 (which has no bfloat16), and L4, A10 and RTX in float32.
    ``HF_OPTICAL_FUSED=0`` switches it off.

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
    ends: Ends | None = None,
) -> Tensor:
    """``<W, C>`` of each pair, with its gradient with respect to the student's tokens, in one kernel.

    The same as `aligned_cost` with the plan of ``solver``, weighed by ``ends``. The gradient is computed with the
    loss, in float32. Tokens without mass (and not among the ends) are not read, whatever they hold.

    Args:
        student_tokens: ``(B, n, d)``, on a device that `fused_fits`.
        teacher_tokens: ``(B, m, d)``, without gradient.
        a: ``(B, n)`` marginals, zero on padding, as `uniform_marginals` makes them.
        b: ``(B, m)``, likewise.
        solver: `IPOT` or `Sinkhorn`; a tolerance stops each pair by itself.
        ends: Special tokens to match, if any.

    Returns:
        ``(B,)``, float32.

    Raises:
        InputError: If the shapes do not fit together, or the kernel cannot take them.
    """
    check_tokens(student_tokens, teacher_tokens)
    if a.shape != student_tokens.shape[:2] or b.shape != teacher_tokens.shape[:2]:
        raise InputError(
            f"fused_transport got tokens {tuple(student_tokens.shape)} and {tuple(teacher_tokens.shape)} with "
            f"marginals {tuple(a.shape)} and {tuple(b.shape)}",
            "pass one mass per token",
            field="a",
        )
    if not fused_fits(student_tokens, teacher_tokens, solver):
        raise InputError(
            f"the fused kernel cannot take {solver!r} on {student_tokens.device} for tokens "
            f"{tuple(student_tokens.shape)} of {student_tokens.dtype}",
            "use aligned_cost with the solver, which takes everything",
            field="solver",
        )
    loss: Tensor = _Fused.apply(student_tokens, teacher_tokens, a, b, solver, ends)
    require(
        torch.isfinite(loss.detach()),
        "the transport cost is not finite",
        "look for NaN or overflow in the token embeddings",
        field="student_tokens",
    )
    return loss


class Fused(NamedTuple):
    """What one run of the kernel gives.

    Attributes:
        loss: ``(B,)``, float32.
        gradient: ``(B, n, d)``, float32, of each pair's own loss, if asked for.
        plan: ``(B, n, m)``, float32, if asked for.
    """

    loss: Tensor
    gradient: Tensor | None
    plan: Tensor | None


def run_kernel(
    student: Tensor,
    teacher: Tensor,
    a: Tensor,
    b: Tensor,
    solver: TransportSolver,
    ends: Ends | None = None,
    *,
    gradient: bool = True,
    plan: bool = False,
    launch: Launch | None = None,
) -> Fused:
    """Launch the kernel once, without autograd; arguments as `fused_transport`.

    Args:
        student: ``(B, n, d)``.
        teacher: ``(B, m, d)``.
        a: ``(B, n)``.
        b: ``(B, m)``.
        solver: `IPOT` or `Sinkhorn`.
        ends: Special tokens to match, if any.
        gradient: Whether to compute and write the gradient.
        plan: Whether to write the plan.
        launch: Block sizes and warps, by default those that are `fitted`.

    Returns:
        A `Fused`.
    """
    from hf_optical.transport.triton_kernel import transport_kernel  # needs Triton

    # The width must be contiguous; pairs and tokens may lie anywhere.
    student, teacher = (t if t.stride(2) == 1 else t.contiguous() for t in (student.detach(), teacher.detach()))
    a, b = a.detach().float().contiguous(), b.detach().float().contiguous()
    pairs, n, width = student.shape
    m = teacher.shape[1]
    loss = student.new_empty(pairs, dtype=torch.float32)
    slope = student.new_empty(pairs, n, width, dtype=torch.float32) if gradient else None
    plans = student.new_empty(pairs, n, m, dtype=torch.float32) if plan else None
    places = share = loss  # any pointer will do where none is read
    if _interpreted():  # the interpreter has no product of bfloat16
        student, teacher = student.float(), teacher.float()
    if ends is not None:
        share = ends.share.float().contiguous()
        places = torch.where(share.unsqueeze(1) > 0, ends.places, -1).to(torch.int32).contiguous()
    blocks = launch or fitted(student, teacher, proximal=isinstance(solver, IPOT))
    assert blocks is not None  # as `fused_fits` says
    relay = student.new_empty(pairs * blocks.block_n * blocks.block_m if blocks.relays else 1, dtype=torch.float32)
    half = student.dtype != torch.float32
    with torch.cuda.device(student.device) if student.is_cuda else nullcontext():
        transport_kernel[(pairs,)](
            student, teacher, a, b, places, share, loss,
            loss if slope is None else slope,
            loss if plans is None else plans,
            relay,
            n, m, student.stride(0), student.stride(1), teacher.stride(0), teacher.stride(1),
            width=width,
            **_settings(solver),
            matches=ends is not None,
            relays=blocks.relays,
            writes_gradient=gradient,
            writes_plan=plan,
            # Vectors in half precision are exact in tf32; what is lost is in the weights, within 1e-3.
            precision="tf32" if half else "tf32x3",
            gradient_precision="tf32" if half else "tf32x3",
            block_n=blocks.block_n, block_m=blocks.block_m, block_d=blocks.block_d, num_warps=blocks.warps,
            num_stages=blocks.stages,
        )  # fmt: skip
    return Fused(loss, slope, plans)


class _Fused(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, student: Tensor, teacher: Tensor, a: Tensor, b: Tensor, solver: TransportSolver, ends: Ends | None
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


def _settings(solver: TransportSolver) -> dict[str, Any]:
    assert isinstance(solver, IPOT | Sinkhorn)
    shared = {
        "iterations": solver.iterations,
        "tolerance": solver.tolerance or 0.0,
        "stops": solver.tolerance is not None,
        "negligible": ipot.NEGLIGIBLE,
        "unrelaxed": sinkhorn.PLAIN,
        "relaxation": solver.relaxation,
        "relaxes": solver.relaxation > 1,
    }
    if isinstance(solver, IPOT):
        own = {"proximal": True, "softness": solver.beta, "gap": solver.gap, "every": ipot.CHECK_EVERY}
        own |= {"inner": solver.inner_iterations, "period": solver.period}
        return shared | own
    own = {"proximal": False, "softness": solver.epsilon, "gap": 0.0, "every": sinkhorn.CHECK_EVERY}
    own |= {"inner": 1, "period": 1}
    return shared | own


def _is_known(solver: TransportSolver) -> bool:
    # A subclass may solve otherwise, so the class itself is asked for.
    if type(solver) is IPOT:
        return solver.beta >= _SMALLEST_BETA
    return type(solver) is Sinkhorn and solver.epsilon >= sinkhorn.KERNEL_EPSILON


def _on_a_device_for_triton(tokens: Tensor) -> bool:
    return (tokens.is_cuda or _interpreted()) and _has_triton()


def _interpreted() -> bool:
    return os.environ.get("TRITON_INTERPRET") == "1"  # Triton's own way to run on a CPU, for tests


@cache
def _has_triton() -> bool:
    return importlib.util.find_spec("triton") is not None
