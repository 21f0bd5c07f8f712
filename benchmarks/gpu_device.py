"""What a device can do at best, and how long a call takes on it."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch


def measure_device(device: torch.device, copied: int, *, fused: bool) -> dict[str, float | None]:
    """Bytes a second of a copy (read and written), float32 multiply-adds a second, seconds of a launch."""
    source = torch.randn(copied // 4, device=device)
    target = torch.empty_like(source)
    found: dict[str, float | None] = {"bytes_per_second": 2 * copied / timed(lambda: target.copy_(source), device)}
    found["fma_per_second"] = found["launch_seconds"] = None
    if not fused:
        return found
    from gpu_kernels import empty_kernel, fma_kernel

    programs, steps, block = (2, 4, 1024) if device.type == "cpu" else (132 * 64, 4096, 1024)
    out = torch.empty(programs * block, device=device)
    seconds = timed(lambda: fma_kernel[(programs,)](out, steps=steps, block=block), device)
    found["fma_per_second"] = programs * steps * block / seconds
    found["launch_seconds"] = timed(lambda: empty_kernel[(1,)](out), device, graph=True)
    return found


def bound(pairs: int, n: int, width: int, iterations: int, limits: dict[str, Any]) -> dict[str, Any]:
    """``launch + max(bytes / bandwidth, 2 B n m iterations / multiply-adds per second)``."""
    read, written = 2 * pairs * n * width * 2 + 2 * pairs * n * 4, pairs * n * width * 4 + pairs * 4
    moving = (read + written) / limits["bytes_per_second"]
    adding = 2 * pairs * n * n * iterations / limits["fma_per_second"]
    seconds = limits["launch_seconds"] + max(moving, adding)
    return {"bound_seconds": seconds, "bound_by": "bytes" if moving > adding else "multiply-adds"}


def timed(
    call: Callable[[], Any], device: torch.device, *, repeats: int = 20, warm: int = 3, graph: bool = False
) -> float:
    """Median seconds of a call: by device events, of graph replays if asked for; by the host's clock on a CPU."""
    if device.type == "cpu":
        start = time.perf_counter()
        call()
        return time.perf_counter() - start
    if graph:
        from triton.testing import do_bench_cudagraph

        return 1e-3 * float(do_bench_cudagraph(call, return_mode="median"))
    for _ in range(warm):
        call()
    return 1e-3 * statistics.median(_events(call, repeats))


def _events(call: Callable[[], Any], repeats: int) -> Iterator[float]:
    for _ in range(repeats):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        start.record()
        call()
        end.record()
        torch.cuda.synchronize()
        yield start.elapsed_time(end)
