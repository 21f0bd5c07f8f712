"""What one call of the fused kernel costs the host: Python alone, without a device.

``python benchmarks/host_overhead.py [--output FILE]`` needs Triton and no GPU. Triton compiles the kernel for compute
capability 9.0; the driver is replaced by one whose launch does nothing, so that what is left is what the host does in a
call: allocations (on the CPU here), the choice of the compiled kernel, its arguments. Two ways are timed in turn:
through Triton's own dispatch, as every first call goes, and the prepared one of all later calls.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from timing import circumstances  # beside this file

from hf_optical.configuration.parsing import option, run
from hf_optical.results.files import write_json
from hf_optical.transport import IPOT, Sinkhorn, SpecialTokenMatch, uniform_marginals
from hf_optical.transport import kernel_call as calls
from hf_optical.transport.solver import TransportSolver

TARGET_MICROSECONDS = 15.0


@dataclass
class HostOverhead:
    """Options."""

    pairs: int = option(32, "Pairs of a call.")
    tokens: int = option(64, "Tokens of each side.")
    width: int = option(384, "Of a token vector.")
    calls: int = option(300, "Calls per turn.")
    turns: int = option(15, "Turns of each way.")
    output: str | None = option(None, "Write the figures into this JSON file.", path=True)


def main(config: HostOverhead) -> None:
    """Measure, print, write."""
    pretend_a_device()
    rows = []
    for solver, matched in ((Sinkhorn(), False), (Sinkhorn(), True), (IPOT(), True)):
        found = time_calls(config, solver, matched=matched)
        row = {"solver": type(solver).__name__, "special tokens matched": matched, "microseconds": found}
        rows.append(row)
        print(f"{row['solver']}, special tokens {'matched' if matched else 'as others'}: {found}")
    if config.output:
        report = circumstances("CPU time of the calling thread; launch replaced by nothing")
        write_json(Path(config.output), report | {"target": TARGET_MICROSECONDS, "options": vars(config), "rows": rows})


def time_calls(config: HostOverhead, solver: TransportSolver, *, matched: bool) -> dict[str, dict[str, float]]:
    """Microseconds of a call of `run_kernel`, prepared and by Triton's dispatch: the fastest turn and the median."""
    generator = torch.Generator().manual_seed(0)
    shape = (config.pairs, config.tokens, config.width)
    student, teacher = (torch.randn(shape, generator=generator).bfloat16() for _ in range(2))
    masses = uniform_marginals(torch.ones(shape[:2]))
    last = config.tokens - 1
    places = torch.tensor([[0, 0, last, last]]).expand(config.pairs, 4).contiguous()
    ends = SpecialTokenMatch(places, torch.full((config.pairs,), 0.03)) if matched else None

    def call() -> None:
        calls.run_kernel(student, teacher, masses, masses, solver, ends)

    def dispatched() -> None:
        calls._prepared.clear()
        calls._prepared.update(unprepared)
        call()

    call()  # compiles
    unprepared = {kind: ready._replace(compiled=None) for kind, ready in calls._prepared.items()}
    times: dict[str, list[float]] = {"prepared": [], "by Triton's dispatch": []}
    for _ in range(config.turns):
        times["by Triton's dispatch"].append(_microseconds(dispatched, config.calls))
        call()
        times["prepared"].append(_microseconds(call, config.calls))
    return {
        name: {"fastest": round(min(found), 2), "median": round(statistics.median(found), 2)}
        for name, found in times.items()
    }


def _microseconds(call: Callable[[], Any], repeats: int) -> float:
    start = time.thread_time()  # not the wall clock: others may be at work on the machine
    for _ in range(repeats):
        call()
    return 1e6 * (time.thread_time() - start) / repeats


def pretend_a_device(launched: Callable[[tuple[Any, ...]], Any] = lambda launch: None) -> None:
    """Give Triton a driver of an H100 that launches nothing, and tells ``launched`` what it was to launch."""
    import triton
    from triton.backends.compiler import GPUTarget

    # Handles, registers, spills, threads: as the loader of a real driver answers.
    utils = SimpleNamespace(
        load_binary=lambda *binary: (1, 1, 32, 0, 1024),
        get_device_properties=lambda device: {"max_shared_mem": 232_448, "multiprocessor_count": 132},
    )
    device = SimpleNamespace(
        utils=utils,
        get_current_target=lambda: GPUTarget("cuda", 90, 32),
        get_current_device=lambda: 0,
        get_current_stream=lambda device: 0,
        set_current_device=lambda device: None,
        get_active_torch_device=lambda: torch.device("cpu"),
        launcher_cls=lambda source, metadata: lambda *arguments: launched(arguments),
    )
    triton.runtime.driver.set_active(device)


if __name__ == "__main__":
    run(main, HostOverhead)
