"""One call of the fused kernel: its arguments, and a way to it that leaves out what does not change between calls."""

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
"""Bytes: what Triton compiles for depends on whether addresses are multiples of it."""
_MOST_PREPARED = 1024


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


class _Prepared(NamedTuple):
    """What is the same in every call of one kind.

    Attributes:
        compiled: The kernel on its device, as Triton returned it; ``None`` before the first launch.
        relay: Numbers of the relay per pair, where it has memory of its own; 0 where it borrows the gradient's.
        constants: All arguments after the pointers, in order: shapes, strides, settings, compile-time options.
        options: Of the compilation: warps and stages.
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
    """Launch the kernel once, without autograd; arguments as `fused_transport`.

    The first call of a kind (shapes, strides, types, solver) goes through Triton's own dispatch, later ones straight to
    the compiled kernel. No call waits for the device.

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
    # The width must be contiguous; pairs and tokens may lie anywhere.
    student = student if student.stride(2) == 1 else student.contiguous()
    teacher = teacher if teacher.stride(2) == 1 else teacher.contiguous()
    a, b = _plain(a, torch.float32), _plain(b, torch.float32)
    if interpreted():  # the interpreter has no product of bfloat16
        student, teacher = student.float(), teacher.float()
    pairs, n, width = student.shape
    m, device = teacher.shape[1], student.device
    loss = torch.empty(pairs, dtype=torch.float32, device=device)
    slope = torch.empty((pairs, n, width), dtype=torch.float32, device=device) if gradient else None
    plans = torch.empty((pairs, n, m), dtype=torch.float32, device=device) if plan else None
    places = share = loss  # any pointer will do where none is read
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
    # Fresh memory is aligned; what comes from elsewhere may be a slice.
    aligned = not (student.data_ptr() | teacher.data_ptr() | a.data_ptr() | b.data_ptr()) % _ALIGNED
    aligned = aligned and not (places.data_ptr() | share.data_ptr()) % _ALIGNED
    with nullcontext() if _is_current(device) else torch.cuda.device(device):
        if aligned and ready.compiled is not None:
            ready.compiled[(pairs, 1, 1)](*pointers, *ready.constants)
        else:
            compiled = _dispatch(pairs, pointers, ready)
            if aligned and compiled is not None:  # the interpreter compiles nothing
                _prepared[kind] = ready._replace(compiled=compiled)
    return Fused(loss, slope, plans)


def settings(solver: TransportSolver) -> dict[str, Any]:
    """The arguments of the kernel that say what `IPOT` or `Sinkhorn` is to do."""
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
    """Whether Triton runs kernels on the CPU, its own way for tests."""
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
    assert blocks is not None  # as `fused_fits` says
    block = blocks.block_n * blocks.block_m
    # A pair's gradient is written after its last look at the relay, and is nearly always larger.
    own = 0 if gradient and n * width >= block else block
    # Vectors in half precision are exact in tf32; what is lost is in the weights, within 1e-3.
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
    if len(_prepared) >= _MOST_PREPARED:  # lengths of batches are few; a caller who varies settings is not punished
        _prepared.clear()
    ready = _Prepared(None, own if blocks.relays else 0, tuple(known[name] for name in names), options)
    _prepared[kind] = ready
    return ready


def _dispatch(pairs: int, pointers: tuple[Tensor, ...], ready: _Prepared) -> Any:
    """Launch by Triton's own way, which looks at every argument and compiles what is new; the compiled kernel."""
    from hf_optical.transport.triton_kernel import transport_kernel

    return transport_kernel[(pairs,)](*pointers, *ready.constants, **ready.options)


def _plain(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """A tensor of this type without gaps; itself, where it is one."""
    if tensor.dtype != dtype:
        tensor = tensor.to(dtype)
    return tensor if tensor.is_contiguous() else tensor.contiguous()


def _is_current(device: torch.device) -> bool:
    return device.type != "cuda" or device.index == torch.cuda.current_device()
