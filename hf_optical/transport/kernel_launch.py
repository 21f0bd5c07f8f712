"""How the fused kernel is laid out on a device: blocks, threads, and the memory on the chip that they want."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor


class Launch(NamedTuple):
    """How a kernel is laid out on the device.

    Attributes:
        block_n: Rows of a program's block, a power of two of at least 16.
        block_m: Columns, likewise.
        block_d: Width read at a time.
        warps: Groups of 32 threads that share one pair.
        relays: Whether the kernel ``exp(-C / epsilon)`` goes through memory (the cache) once before the iterations,
            which spreads it more evenly over the threads.
    """

    block_n: int
    block_m: int
    block_d: int
    warps: int
    relays: bool = True


def launch_for(n: int, m: int, *, proximal: bool) -> Launch:
    """Blocks that hold ``n`` by ``m`` tokens, and enough threads to hold them in registers.

    Args:
        n: Student tokens.
        m: Teacher tokens.
        proximal: Whether two matrices are kept through the iterations (`IPOT`), not one.

    Example:
        >>> launch_for(50, 64, proximal=False)
        Launch(block_n=64, block_m=64, block_d=32, warps=4, relays=True)
    """
    block_n, block_m = (max(16, 1 << (tokens - 1).bit_length()) for tokens in (n, m))
    entries = block_n * block_m * (2 if proximal else 1)
    # Up to 64 numbers of these matrices in each thread.
    warps = min(16, max(1, entries // (32 * 64)))
    if entries >= 1024:
        warps = max(warps, 2 if entries < 4096 else 4)
    return Launch(block_n, block_m, 32 if max(block_n, block_m) <= 64 else 16, warps)


def shared_memory(launch: Launch, *, half: bool, tf32: bool) -> int:
    """Bytes on the chip in which a program stages the operands of its matrix products, at most.

    Args:
        launch: Its layout.
        half: Whether the tokens are in half precision, so that products are made once, not thrice.
        tf32: Whether the device has tf32 (compute capability 8.0 and later).

    Example:
        >>> shared_memory(launch_for(128, 128, proximal=True), half=False, tf32=True) // 1024
        160
    """
    weights, tokens = launch.block_n * launch.block_m, launch.block_m * launch.block_d
    if half or not tf32:
        return 4 * (weights + tokens)
    return 8 * (weights + tokens + launch.block_n * launch.block_d)


def has_room(student: Tensor, teacher: Tensor, *, proximal: bool) -> bool:
    """Whether the device of these tokens has the memory on the chip that a program wants.

    Args:
        student: ``(B, n, d)``, on CUDA.
        teacher: ``(B, m, d)``.
        proximal: As `launch_for` has it.
    """
    launch = launch_for(student.shape[1], teacher.shape[1], proximal=proximal)
    index = student.device.index or 0
    half = student.dtype != torch.float32
    return shared_memory(launch, half=half, tf32=_has_tf32(index)) <= _memory_on_chip(index)


@cache
def _memory_on_chip(index: int) -> int:
    from triton.runtime import driver

    return int(driver.active.utils.get_device_properties(index)["max_shared_mem"])


@cache
def _has_tf32(index: int) -> bool:
    return torch.cuda.get_device_capability(index)[0] >= 8
