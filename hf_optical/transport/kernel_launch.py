"""Choice of the fused kernel's launch configuration: blocks, warps and stages that fit into shared memory."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor


class Launch(NamedTuple):
    """Launch configuration of a kernel.

    Attributes:
        block_n: Rows of a program's block, a power of two of at least 16.
        block_m: Columns of the block, likewise.
        block_d: Number of dimensions that are read at a time.
        warps: Groups of 32 threads that work on one pair.
        relays: Whether the matrix ``exp(-C / epsilon)`` is written to memory (the cache) and read back once before the
            iterations, which distributes it more evenly over the threads.
        stages: Parts of the width that are loaded ahead (pipeline stages).
    """

    block_n: int
    block_m: int
    block_d: int
    warps: int
    relays: bool = True
    stages: int = 3


def launch_for(n: int, m: int, *, proximal: bool) -> Launch:
    """Choose blocks that hold ``n`` by ``m`` tokens, and enough threads to keep them in registers.

    Args:
        n: Number of student tokens.
        m: Number of teacher tokens.
        proximal: Whether two matrices are kept during the iterations (`IPOT`) instead of one.

    Example:
        >>> launch_for(50, 64, proximal=False)
        Launch(block_n=64, block_m=64, block_d=32, warps=4, relays=True, stages=3)
    """
    block_n, block_m = (max(16, 1 << (tokens - 1).bit_length()) for tokens in (n, m))
    entries = block_n * block_m * (2 if proximal else 1)
    # Each thread holds up to 64 numbers of these matrices.
    warps = min(16, max(1, entries // (32 * 64)))
    if entries >= 1024:
        warps = max(warps, 2 if entries < 4096 else 4)
    return Launch(block_n, block_m, 32 if max(block_n, block_m) <= 64 else 16, warps)


def shared_memory(launch: Launch, student: torch.dtype, teacher: torch.dtype, *, tf32: bool) -> int:
    """Estimate the shared memory that a program needs for the operands of its matrix products, in bytes, from above.

    The formula was derived from kernels that Triton 3.5 compiled for compute capabilities 7.5 to 9.0
    (``tests/transport/fused_compiled.py``).

    Args:
        launch: The launch configuration.
        student: Type of the student's tokens; products of half precision are computed once instead of three times.
        teacher: Type of the teacher's tokens.
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
    if ahead and student.itemsize < teacher.itemsize:  # both are held until they are converted to one type
        coming += launch.stages * launch.block_n * launch.block_d * student.itemsize
    return operands + coming + slack


def fitted(student: Tensor, teacher: Tensor, *, proximal: bool) -> Launch | None:
    """Choose the configuration for these tokens, with as many stages as fit into their device's shared memory.

    Args:
        student: Token vectors, ``(B, n, d)``, on CUDA, or on any device for the interpreter, which has no limit.
        teacher: Token vectors, ``(B, m, d)``.
        proximal: As in `launch_for`.

    Returns:
        The configuration, or ``None`` if the memory is too small or the device does not support the type, in which case
        the PyTorch form is used.
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
        return None  # below compute capability 8.0 Triton 3.5 has no matrix product for bfloat16
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
