"""Custom operator of PyTorch for the fused kernel, with fake implementation and gradient, for ``torch.compile``.

Eager training calls the kernel directly, because the overhead of a Python operator is larger than that of the call.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields
from functools import cache
from typing import Any

import torch
from torch import Tensor

from hf_optical.errors import InputError
from hf_optical.transport.ipot import IPOT
from hf_optical.transport.kernel_call import run_kernel
from hf_optical.transport.sinkhorn import Sinkhorn
from hf_optical.transport.solver import TransportSolver
from hf_optical.transport.special_token_match import SpecialTokenMatch

_KINDS: dict[str, type[TransportSolver]] = {"IPOT": IPOT, "Sinkhorn": Sinkhorn}


def as_numbers(solver: TransportSolver) -> tuple[str, list[float]]:
    """Convert a solver to arguments of an operator: its kind, and its settings in the order of its fields.

    A setting that is ``None`` becomes NaN.

    Raises:
        InputError: The solver is neither `IPOT` nor `Sinkhorn`.

    Example:
        >>> as_numbers(Sinkhorn(epsilon=0.1, iterations=20))
        ('Sinkhorn', [0.1, 20.0, nan, 1.0])
    """
    kind = type(solver).__name__
    if _KINDS.get(kind) is not type(solver):
        raise InputError(f"the kernel does not support {kind}", f"use one of {', '.join(_KINDS)}", field="solver")
    values = [getattr(solver, field.name) for field in fields(solver)]  # type: ignore[arg-type]
    return kind, [math.nan if value is None else float(value) for value in values]


def solver_of(kind: str, numbers: Sequence[float]) -> TransportSolver:
    """Build the solver from the result of `as_numbers`.

    Example:
        >>> solver_of(*as_numbers(IPOT.near_exact())) == IPOT.near_exact()
        True
    """
    return _solver_of(kind, tuple(None if math.isnan(number) else number for number in numbers))


@cache
def _solver_of(kind: str, numbers: tuple[float | None, ...]) -> TransportSolver:
    known: Any = _KINDS[kind]
    options = {
        field.name: int(number) if number is not None and isinstance(field.default, int) else number
        for field, number in zip(fields(known), numbers, strict=True)
    }
    return known(**options)  # type: ignore[no-any-return]


@torch.library.custom_op("hf_optical::fused_transport", mutates_args=())
def fused_transport_op(
    student: Tensor,
    teacher: Tensor,
    a: Tensor,
    b: Tensor,
    places: Tensor | None,
    share: Tensor | None,
    kind: str,
    numbers: list[float],
) -> tuple[Tensor, Tensor]:
    """Compute the loss and its gradient with the fused kernel; see `hf_optical.transport.fused_transport`.

    Args:
        student: Token vectors of the student, ``(B, n, d)``.
        teacher: Token vectors of the teacher, ``(B, m, d)``.
        a: Row marginals, ``(B, n)``.
        b: Column marginals, ``(B, m)``.
        places: ``places`` of the `SpecialTokenMatch`, ``(B, 4)``, or ``None`` for no match.
        share: ``share`` of the `SpecialTokenMatch`, ``(B,)``, or ``None``.
        kind: Kind of the solver, from `as_numbers`.
        numbers: Settings of the solver, from `as_numbers`.

    Returns:
        The loss of each pair, ``(B,)``, and its gradient, ``(B, n, d)``, both float32.
    """
    ends = SpecialTokenMatch(places, share) if places is not None and share is not None else None
    found = run_kernel(student, teacher, a, b, solver_of(kind, numbers), ends)
    assert found.gradient is not None
    return found.loss, found.gradient


@fused_transport_op.register_fake
def _(student: Tensor, *others: Any) -> tuple[Tensor, Tensor]:
    return student.new_empty(student.shape[0], dtype=torch.float32), student.new_empty(
        student.shape, dtype=torch.float32
    )


def _remember(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(output[1])
    ctx.dtype = inputs[0].dtype


def _backward(ctx: Any, upstream: Tensor, of_the_gradient: Tensor | None) -> tuple[Tensor | None, ...]:
    (gradient,) = ctx.saved_tensors
    return (gradient * upstream[:, None, None]).to(ctx.dtype), *([None] * 7)


fused_transport_op.register_autograd(_backward, setup_context=_remember)
