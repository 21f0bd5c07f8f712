"""Launch configuration of the fused kernel: blocks, threads, shared memory."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor


class Launch(NamedTuple):
    """Launch configuration of a kernel.

    Attributes:
        block_n: Rows of a program's block, a power of two of at least 16.
        block_m: Columns, likewise.
        block_d: Width read at a time.
        warps: Groups of 32 threads that share one pair.
        relays: Whether the kernel ``exp(-C / epsilon)`` goes through memory (the cache) once before the iterations,
            which spreads it more evenly over the threads.
        stages: Parts of the width that are on their way at a time.
    """

    block_n: int
    block_m: int
    block_d: int
    warps: int
    relays: bool = True
    stages: int = 3


def launch_for(n: int, m: int, *, proximal: bool) -> Launch:
    """Blocks that hold ``n`` by ``m`` tokens, and enough threads to hold them in registers.

    Args:
        n: Student tokens.
        m: Teacher tokens.
        proximal: Whether two matrices are kept through the iterations (`IPOT`), not one.

    Example:
        >>> launch_for(50, 64, proximal=False)
        Launch(block_n=64, block_m=64, block_d=32, warps=4, relays=True, stages=3)
    """
    block_n, block_m = (max(16, 1 << (tokens - 1).bit_length()) for tokens in (n, m))
    entries = block_n * block_m * (2 if proximal else 1)
    # Up to 64 numbers of these matrices in each thread.
    warps = min(16, max(1, entries // (32 * 64)))
    if entries >= 1024:
        warps = max(warps, 2 if entries < 4096 else 4)
    return Launch(block_n, block_m, 32 if max(block_n, block_m) <= 64 else 16, warps)


def shared_memory(launch: Launch, student: torch.dtype, teacher: torch.dtype, *, tf32: bool) -> int:
    """Bytes on the chip in which a program stages the operands of its matrix products, at most.

    Read off what Triton 3.5 compiles for compute capabilities 7.5 to 9.0 (``tests/transport/fused_compiled.py``).

    Args:
        launch: Its layout.
        student: Type of the student's tokens; in half precision products are made once, not thrice.
        teacher: Of the teacher's.
        tf32: Whether the device has tf32 (compute capability 8.0 and later).

    Example:
        >>> launch = launch_for(128, 128, proximal=True)
        >>> shared_memory(launch, torch.float32, torch.float32, tf32=True) // 1024
        161
    """
    operands = 4 * launch.block_m * (launch.block_n + launch.block_d)
    slack = 1024
    if not tf32:
        return operands + slack
    if student == torch.float32:
        operands *= 2
    ahead = launch.stages - 1
    coming = ahead * launch.block_m * launch.block_d * teacher.itemsize
    if ahead and student.itemsize < teacher.itemsize:  # both are held until they have one type
        coming += launch.stages * launch.block_n * launch.block_d * student.itemsize
    return operands + coming + slack


def fitted(student: Tensor, teacher: Tensor, *, proximal: bool) -> Launch | None:
    """The layout for these tokens on their device, with as many stages as its memory on the chip has room for.

    Args:
        student: ``(B, n, d)``, on CUDA, or anywhere for the interpreter, which has room for all.
        teacher: ``(B, m, d)``.
        proximal: As `launch_for` has it.

    Returns:
        ``None`` where there is no room, or no such type: then the PyTorch form must do.
    """
    n, m = student.shape[1], teacher.shape[1]
    if not student.is_cuda:
        return launch_for(n, m, proximal=proximal)
    index = student.device.index or 0
    return _fitted(n, m, student.dtype, teacher.dtype, proximal, _has_tf32(index), _memory_on_chip(index))


@cache
def _fitted(
    n: int, m: int, student: torch.dtype, teacher: torch.dtype, proximal: bool, tf32: bool, room: int
) -> Launch | None:
    if not tf32 and torch.bfloat16 in (student, teacher):
        return None  # before compute capability 8.0 there is no bfloat16, and Triton 3.5 compiles no product of it
    usual = launch_for(n, m, proximal=proximal)
    launches = (usual._replace(stages=stages) for stages in range(usual.stages, 0, -1))
    return next((one for one in launches if shared_memory(one, student, teacher, tf32=tf32) <= room), None)


@cache
def _memory_on_chip(index: int) -> int:
    from triton.runtime import driver

    return int(driver.active.utils.get_device_properties(index)["max_shared_mem"])


@cache
def _has_tf32(index: int) -> bool:
    return torch.cuda.get_device_capability(index)[0] >= 8
