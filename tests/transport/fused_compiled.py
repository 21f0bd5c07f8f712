"""Run by `test_fused_transport` in a process of its own: Triton compiles the kernel for devices that are not there."""

import itertools

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from hf_optical.transport import IPOT, Sinkhorn
from hf_optical.transport.fused import _settings
from hf_optical.transport.kernel_launch import launch_for, shared_memory
from hf_optical.transport.triton_kernel import transport_kernel

NAMES = {torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16"}
NUMBERS = {"softness", "tolerance", "gap", "relaxation"}
ROOM = {75: 64 * 1024, 86: 99 * 1024, 90: 227 * 1024}  # kilobytes on the chip that a program may have


def compiled(solver, student, teacher, launch, capability):
    """The kernel as PyTorch would have it compiled for whole blocks of tokens of width 384."""
    precision = "tf32" if student != torch.float32 else "tf32x3"
    constants = {name: value for name, value in _settings(solver).items() if name not in NUMBERS}
    constants |= {"width": 384, "matches": True, "relays": launch.relays, "writes_gradient": True, "writes_plan": False}
    constants |= {"precision": precision, "gradient_precision": precision}
    constants |= {"block_n": launch.block_n, "block_m": launch.block_m, "block_d": launch.block_d}
    kinds = {"student_ptr": "*" + NAMES[student], "teacher_ptr": "*" + NAMES[teacher], "places_ptr": "*i32"}
    signature, aligned = {}, {}
    for place, name in enumerate(transport_kernel.arg_names):
        if name in constants:
            signature[name] = "constexpr"
            continue
        pointer = name.endswith("_ptr")
        signature[name] = kinds.get(name, "*fp32" if pointer else "fp32" if name in NUMBERS else "i32")
        if name not in NUMBERS:
            aligned[(place,)] = [["tt.divisibility", 16]]
    source = ASTSource(fn=transport_kernel, signature=signature, constexprs=constants, attrs=aligned)
    options = {"num_warps": launch.warps, "num_stages": launch.stages}
    return triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)


PAIRS = [(torch.float32, torch.float32), (torch.float16, torch.float16), (torch.bfloat16, torch.float32)]
tight = 0
for capability, (student, teacher), (n, m), stages in itertools.product(ROOM, PAIRS, [(64, 64), (128, 128)], (3, 1)):
    if capability < 80 and torch.bfloat16 in (student, teacher):
        continue
    solver = IPOT.near_exact() if (n, stages, capability) == (64, 1, 90) else Sinkhorn()
    launch = launch_for(n, m, proximal=isinstance(solver, IPOT))._replace(stages=stages)
    found = compiled(solver, student, teacher, launch, capability).metadata.shared
    most = shared_memory(launch, student, teacher, tf32=capability >= 80)
    case = f"compute capability {capability}, {student}, {teacher}, {n} x {m}, {stages} stages: {found} of {most} bytes"
    assert found <= most <= 1.35 * found, case
    tight += found <= ROOM[capability] < most
assert tight <= 1  # refused though there is room
print("all good")  # noqa: T201
