"""Kernels that measure the device itself: how many multiply-adds a second, and what a launch costs."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def fma_kernel(out_ptr, steps: tl.constexpr, block: tl.constexpr):
    """``block`` independent chains of ``steps`` float32 multiply-adds, eight to a thread with 4 warps of 1024."""
    offsets = tl.arange(0, block)
    value = offsets.to(tl.float32)
    for _ in range(0, steps):
        value = value * 0.999 + 0.001
    tl.store(out_ptr + tl.program_id(0) * block + offsets, value)


@triton.jit
def empty_kernel(out_ptr):
    """One number written: what is left is the launch."""
    tl.store(out_ptr, 1.0)
