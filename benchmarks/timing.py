"""Measuring on a busy machine: runs in turn, processor time, ratios within a round."""

from __future__ import annotations

import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import torch

from hf_optical.results.files import portable, versions

CLOCK = "processor time of the one thread that works (time.thread_time)"


def interleaved(runs: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each run in each round; all take their turn in every round, after one round that does not count."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds + 1):
        for name, call in runs.items():
            start = time.thread_time()
            call()
            if turn:
                times[name].append(time.thread_time() - start)
    return times


def ratios(times: list[float], reference: list[float]) -> dict[str, float]:
    """Median, least and largest of the ratios of times of the same round, which a drifting machine disturbs least."""
    found = [mine / theirs for mine, theirs in zip(times, reference, strict=True)]
    return {"median": round(statistics.median(found), 4), "min": round(min(found), 4), "max": round(max(found), 4)}


def milliseconds(times: list[float]) -> float:
    """Median, in milliseconds."""
    return round(1e3 * statistics.median(times), 3)


def circumstances(clock: str = CLOCK) -> dict[str, Any]:
    """What a reader must know to repeat a measurement: command, versions, the machine in words."""
    return {
        "command": " ".join(["python", *map(portable, sys.argv)]),
        "versions": versions(),
        "machine": machine(),
        "threads": torch.get_num_threads(),
        "clock": clock,
    }


def machine() -> str:
    """Processor and cores, and the accelerator if there is one; no names of hosts."""
    words = f"{platform.machine()}, {_processor()}, {os.cpu_count()} cores"
    if torch.cuda.is_available():
        words += f", {torch.cuda.get_device_name()}"
    return words + " (shared with other work)" if os.getloadavg()[0] > 1.5 else words


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or "unknown processor"
