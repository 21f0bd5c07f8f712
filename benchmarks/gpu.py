"""Everything there is to measure on a GPU, in one run of under ten minutes.

``python benchmarks/gpu.py [--output FILE]`` on CUDA; ``--dry true`` runs the same code on tiny shapes on the CPU, for
correctness alone. In one call it measures the device (bandwidth, float32 multiply-adds, cost of a launch), checks the
fused kernel against float64 in three precisions with rubbish in the padding, times it against the PyTorch form and
POT's batch solver and against the bound ``launch + max(bytes / bandwidth, 2 B n m iterations / multiply-adds a
second)``, times an OT step against a sentence-MSE step, and a run over sentences of unlike length against the stock
recipe.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from gpu_device import measure_device  # beside this file, as are the next four
from gpu_shapes import DRY, REAL
from gpu_solvers import check_accuracy, sweep_launches, time_solvers
from gpu_training import time_run, time_step
from timing import circumstances

from hf_optical.configuration.parsing import run
from hf_optical.results.files import write_json
from hf_optical.transport import Sinkhorn
from hf_optical.transport.fused import fused_fits

TARGETS = {
    "gradient_error": 1e-3,
    "times_faster_than_pytorch": 10,
    "times_faster_than_pot_batch": 50,
    "microseconds_32_64_100": 25,
    "share_of_bandwidth_bound": 0.70,
    "share_of_fma_bound": 0.35,
    "step_fused": 1.02,
    "step_pytorch": 1.10,
}


@dataclass
class GpuBenchmark:
    """Options."""

    dry: bool = field(default=False, metadata={"help": "Tiny shapes on the CPU; timings mean nothing then."})
    repeats: int = field(default=7, metadata={"help": "Timed repeats, in turn."})
    output: str | None = field(default=None, metadata={"help": "Write the figures into this JSON file.", "path": True})


def main(config: GpuBenchmark) -> None:
    """Measure, print, write."""
    if not config.dry and not torch.cuda.is_available():
        raise SystemExit("no CUDA device; --dry true runs the same code on tiny shapes")
    device, sizes = torch.device("cpu" if config.dry else "cuda"), DRY if config.dry else REAL
    report: dict[str, Any] = circumstances("device events, medians") | {"dry": config.dry, "targets": TARGETS}
    started = time.perf_counter()
    probe = torch.zeros(1, 1, sizes.width, device=device)
    report["fused_kernel"] = fused = fused_fits(probe, probe, Sinkhorn())
    if not fused:
        print("the fused kernel does not run here (no Triton, or switched off): its rows are left out")
    parts: dict[str, Callable[[], Any]] = {
        "device": lambda: measure_device(device, sizes.copied, fused=fused),
        "accuracy": lambda: check_accuracy(device, sizes) if fused else [],
        "solvers": lambda: time_solvers(device, sizes, config.repeats, report.get("device", {}), fused=fused),
        "launches": lambda: sweep_launches(device, sizes) if fused else [],
        "step": lambda: time_step(device, sizes, config.repeats),
        "run": lambda: time_run(device, sizes),
    }
    for name, part in parts.items():
        try:
            report[name] = part()
        except Exception as error:  # what was measured before is worth keeping
            if config.dry:
                raise
            report[name] = {"failed": f"{type(error).__name__}: {error}"[:500]}
        _print(name, report[name])
        if config.output:
            write_json(Path(config.output), report | {"seconds": round(time.perf_counter() - started, 1)})


def _print(name: str, part: Any) -> None:
    print(f"\n{name}")
    for row in part if isinstance(part, list) else [part]:
        print("  " + "  ".join(f"{key} {_short(value)}" for key, value in row.items()))


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    run(main, GpuBenchmark)
