"""Calls of the fused kernel: its arguments, and a direct launch that skips the work that is the same in every call."""

from __future__ import annotations

import os
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hf_optical.transport import ipot, sinkhorn
from hf_optical.transport.ipot import IPOT
from hf_optical.transport.kernel_launch import Launch, fitted
from hf_optical.transport.sinkhorn import Sinkhorn
from hf_optical.transport.solver import TransportSolver
from hf_optical.transport.special_token_match import SpecialTokenMatch

_ALIGNED = 16
"""Alignment in bytes: Triton compiles different code for addresses that are multiples of it."""
_MOST_PREPARED = 1024  # kinds of calls that are remembered


class Fused(NamedTuple):
    """Result of one run of the kernel.

    Attributes:
        loss: Loss of each pair, ``(B,)``, float32.
        gradient: Gradient of each pair's loss, ``(B, n, d)``, float32; ``None`` if not requested.
        plan: Plans, ``(B, n, m)``, float32; ``None`` if not requested.
    """

    loss: Tensor
    gradient: Tensor | None
    plan: Tensor | None


class _Prepared(NamedTuple):
    """Data that is the same in every call of one kind.

    Attributes:
        compiled: The compiled kernel, as Triton returned it; ``None`` before the first launch.
        relay: Numbers of the relay per pair if it has memory of its own; 0 if it uses the gradient's memory.
        constants: All arguments after the pointers, in order: shapes, strides, settings, compile-time options.
        options: Options of the compilation: warps and stages.
    """

    compiled: Any
    relay: int
    constants: tuple[Any, ...]
    options: dict[str, int]


_prepared: dict[tuple[Any, ...], _Prepared] = {}


def run_kernel(
    student: Tensor,
    teacher: Tensor,
    a: Tensor,
    b: Tensor,
    solver: TransportSolver,
    ends: SpecialTokenMatch | None = None,
    *,
    gradient: bool = True,
    plan: bool = False,
    launch: Launch | None = None,
) -> Fused:
    """Launch the kernel once, without autograd.

    The first call of a kind (shapes, strides, types, solver) goes through Triton's dispatch, and later calls launch the
    compiled kernel directly. No call waits for the device.

    Args:
        student: Token vectors of the student, ``(B, n, d)``.
        teacher: Token vectors of the teacher, ``(B, m, d)``.
        a: Row marginals, ``(B, n)``.
        b: Column marginals, ``(B, m)``.
        solver: `IPOT` or `Sinkhorn`.
        ends: Special tokens to match, if any.
        gradient: Whether to compute the gradient.
        plan: Whether to write the plan.
        launch: Block sizes and warps; by default the result of `fitted`.

    Returns:
        Loss, and gradient and plan if requested.
    """
    # The last dimension must be contiguous; the strides of pairs and tokens are arguments.
    student = student if student.stride(2) == 1 else student.contiguous()
    teacher = teacher if teacher.stride(2) == 1 else teacher.contiguous()
    a, b = _plain(a, torch.float32), _plain(b, torch.float32)
    if interpreted():  # the interpreter has no matrix product for bfloat16
        student, teacher = student.float(), teacher.float()
    pairs, n, width = student.shape
    m, device = teacher.shape[1], student.device
    loss = torch.empty(pairs, dtype=torch.float32, device=device)
    slope = torch.empty((pairs, n, width), dtype=torch.float32, device=device) if gradient else None
    plans = torch.empty((pairs, n, m), dtype=torch.float32, device=device) if plan else None
    places = share = loss  # placeholders, which are not read
    if ends is not None:
        places, share = _plain(ends.places, torch.int64), _plain(ends.share, torch.float32)
    kind = (
        student.get_device(), student.dtype, n, width, student.stride(), teacher.dtype, m, teacher.stride(),
        solver, ends is None, gradient, plan, launch,
    )  # fmt: skip
    ready = _prepared.get(kind)
    if ready is None:
        ready = _prepare(kind, student, teacher, solver, ends, gradient=gradient, plan=plan, launch=launch)
    relay = loss if slope is None else slope
    if ready.relay:
        relay = torch.empty(pairs * ready.relay, dtype=torch.float32, device=device)
    pointers = (
        student, teacher, a, b, places, share, loss,
        loss if slope is None else slope, loss if plans is None else plans, relay,
    )  # fmt: skip
    # New memory is aligned, but tensors of the caller may be slices.
    aligned = not (student.data_ptr() | teacher.data_ptr() | a.data_ptr() | b.data_ptr()) % _ALIGNED
    aligned = aligned and not (places.data_ptr() | share.data_ptr()) % _ALIGNED
    with nullcontext() if _is_current(device) else torch.cuda.device(device):
        if aligned and ready.compiled is not None:
            ready.compiled[(pairs, 1, 1)](*pointers, *ready.constants)
        else:
            compiled = _dispatch(pairs, pointers, ready)
            if aligned and compiled is not None:  # None under the interpreter, which does not compile
                _prepared[kind] = ready._replace(compiled=compiled)
    return Fused(loss, slope, plans)


def settings(solver: TransportSolver) -> dict[str, Any]:
    """Return the arguments of the kernel that describe the settings of `IPOT` or `Sinkhorn`."""
    assert isinstance(solver, IPOT | Sinkhorn)
    shared = {
        "iterations": solver.iterations,
        "tolerance": float(solver.tolerance or 0.0),
        "stops": solver.tolerance is not None,
        "negligible": ipot.NEGLIGIBLE,
        "unrelaxed": sinkhorn.PLAIN,
        "relaxation": float(solver.relaxation),
        "relaxes": solver.relaxation > 1,
    }
    if isinstance(solver, IPOT):
        own = {"proximal": True, "softness": float(solver.beta), "gap": float(solver.gap), "every": ipot.CHECK_EVERY}
        own |= {"inner": solver.inner_iterations, "period": solver.period}
        return shared | own
    own = {"proximal": False, "softness": float(solver.epsilon), "gap": 0.0, "every": sinkhorn.CHECK_EVERY}
    own |= {"inner": 1, "period": 1}
    return shared | own


def interpreted() -> bool:
    """Return whether Triton interprets kernels on the CPU, a mode for tests."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def _prepare(
    kind: tuple[Any, ...],
    student: Tensor,
    teacher: Tensor,
    solver: TransportSolver,
    ends: SpecialTokenMatch | None,
    *,
    gradient: bool,
    plan: bool,
    launch: Launch | None,
) -> _Prepared:
    from hf_optical.transport.triton_kernel import transport_kernel  # needs Triton

    _, n, width = student.shape
    blocks = launch or fitted(student, teacher, proximal=isinstance(solver, IPOT))
    assert blocks is not None  # `fused_fits` has made sure
    block = blocks.block_n * blocks.block_m
    # The relay can use the memory of a pair's gradient, which is written after the last read of the relay, and nearly
    # always has enough room.
    own = 0 if gradient and n * width >= block else block
    # Vectors in half precision are exact in tf32; the weights are rounded, within 1e-3.
    precision = "tf32" if student.dtype != torch.float32 else "tf32x3"
    known: dict[str, Any] = {
        "n": n, "m": teacher.shape[1],
        "student_batch": student.stride(0), "student_row": student.stride(1),
        "teacher_batch": teacher.stride(0), "teacher_row": teacher.stride(1),
        "relay_batch": own or n * width,
        "width": width, "matches": ends is not None, "relays": blocks.relays,
        "writes_gradient": gradient, "writes_plan": plan,
        "precision": precision, "gradient_precision": precision,
        "block_n": blocks.block_n, "block_m": blocks.block_m, "block_d": blocks.block_d,
        "num_warps": blocks.warps, "num_stages": blocks.stages,
    } | settings(solver)  # fmt: skip
    options = {name: known[name] for name in ("num_warps", "num_stages")}
    names = [name for name in transport_kernel.arg_names if not name.endswith("_ptr")]
    # Batches have few different lengths; the limit protects callers with many different settings.
    if len(_prepared) >= _MOST_PREPARED:
        _prepared.clear()
    ready = _Prepared(None, own if blocks.relays else 0, tuple(known[name] for name in names), options)
    _prepared[kind] = ready
    return ready


def _dispatch(pairs: int, pointers: tuple[Tensor, ...], ready: _Prepared) -> Any:
    """Launch through Triton's dispatch, which checks all arguments and compiles if needed; return the kernel."""
    from hf_optical.transport.triton_kernel import transport_kernel

    return transport_kernel[(pairs,)](*pointers, *ready.constants, **ready.options)


def _plain(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a contiguous tensor of this type, the same tensor if it is one already."""
    if tensor.dtype != dtype:
        tensor = tensor.to(dtype)
    return tensor if tensor.is_contiguous() else tensor.contiguous()


def _is_current(device: torch.device) -> bool:
    return device.type != "cuda" or device.index == torch.cuda.current_device()
