"""Run by `test_fused_transport` in a process of its own: what the kernel takes of a device's memory on the chip."""

import itertools

import torch
from kernel_builds import Case, compiled

from hf_optical.transport import IPOT, Sinkhorn
from hf_optical.transport.kernel_launch import launch_for, shared_memory

ROOM = {75: 64 * 1024, 86: 99 * 1024, 90: 227 * 1024}  # kilobytes on the chip that a program may have
PAIRS = [(torch.float32, torch.float32), (torch.float16, torch.float16), (torch.bfloat16, torch.float32)]
tight = 0
for capability, types, (n, m), stages in itertools.product(ROOM, PAIRS, [(64, 64), (128, 128)], (3, 1)):
    if capability < 80 and torch.bfloat16 in types:
        continue
    solver = IPOT.near_exact() if (n, stages, capability) == (64, 1, 90) else Sinkhorn()
    launch = launch_for(n, m, proximal=isinstance(solver, IPOT))._replace(stages=stages)
    case = Case(solver, (n, m), types, capability=capability, launch=launch)
    found = compiled(case).metadata.shared
    most = shared_memory(launch, *types, tf32=capability >= 80)
    assert found <= most <= 1.35 * found, f"{case}: {found} of {most} bytes"
    tight += found <= ROOM[capability] < most
assert tight <= 1  # refused though there is room
print("all good")  # noqa: T201
