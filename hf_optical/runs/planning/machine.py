"""Machine that a run is planned for: this one or another one."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from hf_optical.errors import InputError

# Memory that PyTorch, the CUDA context and its libraries take on a GPU before the first tensor.
CUDA_CONTEXT = 0.6e9


@dataclass(frozen=True)
class Machine:
    """Memory, cores and accelerator of a machine.

    Attributes:
        name: Name for messages.
        gpu: Whether it has a CUDA GPU.
        memory: Bytes available to a run: free memory of the GPU, or free RAM.
        disk: Free bytes on the disk of the output folder; None if unknown.
        here: Whether it is this machine, whose speed can be measured.
        bfloat16: Whether it supports bfloat16.
        teraflops: Peak rates in float32 and in half precision, in 10^12 operations per second, if ``here`` is false.
        busy: Average number of other running processes in the last minute.

    Example:
        >>> PRESETS["t4"].bfloat16, PRESETS["t4"].memory
        (False, 15600000000.0)
    """

    name: str
    gpu: bool
    memory: float
    disk: float | None = None
    here: bool = False
    bfloat16: bool = True
    teraflops: tuple[float, float] | None = None
    busy: float = 0.0


# Memory as PyTorch reports it, in bytes; peak rates are from the vendors' data sheets (dense, float32 and half
# precision).
PRESETS = {
    "t4": Machine("T4", True, 15.6e9, bfloat16=False, teraflops=(8.1, 65)),
    "v100": Machine("V100 (16 GB)", True, 16.9e9, bfloat16=False, teraflops=(15.7, 125)),
    "l4": Machine("L4", True, 23.6e9, teraflops=(30.3, 121)),
    "a100": Machine("A100 (40 GB)", True, 42.4e9, teraflops=(19.5, 312)),
    "h100": Machine("H100 (80 GB)", True, 84.9e9, teraflops=(67, 989)),
}


def machine_for(on: str | None, memory_gb: float | None, folder: str | Path) -> Machine:
    """Return the machine to plan for.

    Args:
        on: A name in `PRESETS`, or None for this machine.
        memory_gb: Its memory in GB of 10^9 bytes; by default the memory of the named machine, or the free memory here.
        folder: The output folder, whose disk is checked.

    Raises:
        InputError: The name is unknown, or the memory is not positive.
    """
    if memory_gb is not None and not 0 < memory_gb < float("inf"):
        raise InputError(f"is {memory_gb}", "give a positive number of GB", field="memory_gb")
    if on is not None and on.lower() not in PRESETS:
        raise InputError(f"no machine {on!r} is known", f"use one of {', '.join(PRESETS)}, or --memory_gb", field="gpu")
    machine = PRESETS[on.lower()] if on is not None else _this(folder)
    return machine if memory_gb is None else replace(machine, memory=memory_gb * 1e9)


def _this(folder: str | Path) -> Machine:
    import psutil
    import torch

    busy = 0.0
    if hasattr(os, "getloadavg"):
        busy = max(0.0, os.getloadavg()[0] - (os.cpu_count() or 1))
    disk = float(shutil.disk_usage(_existing(Path(folder))).free)
    if torch.cuda.is_available():
        free, _ = torch.cuda.mem_get_info()
        name = torch.cuda.get_device_name()
        return Machine(name, True, free, disk, here=True, bfloat16=torch.cuda.is_bf16_supported(), busy=busy)
    # The memory that this process already holds is available to it.
    free = psutil.virtual_memory().available + psutil.Process().memory_info().rss
    threads = torch.get_num_threads()
    name = f"this machine (CPU, {threads} thread{'s' * (threads > 1)})"
    return Machine(name, False, free, disk, here=True, busy=busy)


def peak_gpu_memory_mb() -> float | None:
    """Return the peak GPU memory of PyTorch and the CUDA context, in MB of 1,000,000 bytes; None without a GPU."""
    import torch

    if not torch.cuda.is_available():
        return None
    return round((torch.cuda.max_memory_reserved() + CUDA_CONTEXT) / 1e6, 1)


def _existing(folder: Path) -> Path:
    folder = folder.absolute()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder
