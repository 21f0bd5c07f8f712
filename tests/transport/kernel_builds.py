"""Builds the fused kernel as PyTorch would have it built, for devices that are not there: needs Triton, no GPU."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from hf_optical.transport import IPOT
from hf_optical.transport.kernel_call import settings
from hf_optical.transport.kernel_launch import Launch, launch_for
from hf_optical.transport.solver import TransportSolver
from hf_optical.transport.triton_kernel import transport_kernel

NAMES = {torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16"}
NUMBERS = {"softness", "tolerance", "gap", "relaxation"}


class Case(NamedTuple):
    """What a caller asks of the kernel, and for what device.

    Attributes:
        solver: `IPOT` or `Sinkhorn`.
        tokens: Of the student and of the teacher.
        types: Of their tokens.
        plan: Whether the plan is written; likewise the gradient.
        ends: Whether special tokens are matched.
        width: Of a token vector.
        whole: Whether all strides are multiples of 16, as Triton is told when they are.
        capability: Compute capability times ten.
        launch: Layout, by default the one that is chosen.
    """

    solver: TransportSolver
    tokens: tuple[int, int] = (16, 16)
    types: tuple[torch.dtype, torch.dtype] = (torch.float32, torch.float32)
    plan: bool = False
    gradient: bool = True
    ends: bool = True
    width: int = 384
    whole: bool = True
    capability: int = 80
    launch: Launch | None = None


class _FrontEnd(ASTSource):
    """Stops after the kernel has been read: what Triton refuses of the source it refuses here."""

    def make_ir(self, *args: Any, **options: Any) -> Any:
        module = super().make_ir(*args, **options)
        assert module.verify() is not False
        raise _ReadError


class _ReadError(Exception):
    pass


def read(case: Case) -> None:
    """Have Triton read the kernel for a case: types, shapes and names, without generating code."""
    try:
        _compile(case, _FrontEnd)
    except _ReadError:
        return
    raise AssertionError("Triton compiled without reading the source")


def compiled(case: Case) -> Any:
    """The kernel of a case as machine code, with its ``metadata``."""
    return _compile(case, ASTSource)


def _compile(case: Case, kind: type) -> Any:
    n, m = case.tokens
    launch = case.launch or launch_for(n, m, proximal=isinstance(case.solver, IPOT))
    precision = "tf32" if case.types[0] != torch.float32 else "tf32x3"
    constants = {name: value for name, value in settings(case.solver).items() if name not in NUMBERS}
    constants |= {"width": case.width, "matches": case.ends, "relays": launch.relays}
    constants |= {"writes_gradient": case.gradient, "writes_plan": case.plan}
    constants |= {"precision": precision, "gradient_precision": precision}
    constants |= {"block_n": launch.block_n, "block_m": launch.block_m, "block_d": launch.block_d}
    kinds = {"student_ptr": "*" + NAMES[case.types[0]], "teacher_ptr": "*" + NAMES[case.types[1]], "places_ptr": "*i64"}
    signature, aligned = {}, {}
    for place, name in enumerate(transport_kernel.arg_names):
        if name in constants:
            signature[name] = "constexpr"
            continue
        pointer = name.endswith("_ptr")
        signature[name] = kinds.get(name, "*fp32" if pointer else "fp32" if name in NUMBERS else "i32")
        if pointer or (case.whole and name not in NUMBERS and name not in ("n", "m")):
            aligned[(place,)] = [["tt.divisibility", 16]]
    source = kind(fn=transport_kernel, signature=signature, constexprs=constants, attrs=aligned)
    options = {"num_warps": launch.warps, "num_stages": launch.stages}
    return triton.compile(source, target=GPUTarget("cuda", case.capability, 32), options=options)
