"""Number of runs that fit on a machine at a time, and threads for each."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from hf_optical.comparison.matrix import RunSpec
from hf_optical.errors import InputError
from hf_optical.results.files import RESULTS_FILE

AUTO = "auto"
_LIBRARIES = 1.5e9
"""Bytes of a run with a tiny model: Python, PyTorch and data; on a GPU its context."""
_COPIES = 6
"""Copies of the weights in a run: student, gradients and two moments, teacher, and the saved student while it is
measured."""
_ACTIVATIONS = 1e9
_SPARE = 1.2


def workers_for(
    asked: int | str, cells: Sequence[RunSpec], *, cores: int | None = None, memory: Callable[[], float] | None = None
) -> int:
    """Return the number of runs at a time: the one asked for, or as many as fit into memory and cores.

    With ``auto`` each run gets one core. The memory of a run is that of finished runs of the comparison plus a fifth;
    before any is finished it is estimated from the size of the models.

    Args:
        asked: A number of 1 or more, or ``auto``.
        cells: The remaining runs.
        cores: Cores of the machine; by default those that this process may use.
        memory: Function that returns the free bytes; by default of this machine's GPU if there is one, otherwise of its
            RAM.

    Raises:
        InputError: ``asked`` is neither a number of 1 or more nor ``auto``.

    Example:
        >>> workers_for("auto", [], cores=8, memory=lambda: 1e12), workers_for(3, [])
        (1, 3)
    """
    if str(asked) != AUTO:
        if not str(asked).isdigit() or int(asked) < 1:
            raise InputError(f"is {asked!r}", f"run at least one at a time, or {AUTO!r}", field="workers")
        return int(asked)
    cores = cores or _available_cores()
    room = (memory or _free_memory)() / max((_memory_of(cell) for cell in cells), default=1.0)
    return max(1, min(cores, int(room), len(cells)))


def threads_for(asked: int | None) -> int:
    """Return the threads of each run: the number asked for, or ``OMP_NUM_THREADS``, or one.

    The cores are not divided by the workers, because sums over more threads are rounded differently, and the results of
    a comparison must not depend on the number of parallel runs.

    Raises:
        InputError: ``asked`` is less than one.

    Example:
        >>> threads_for(4)
        4
    """
    if asked is not None and asked < 1:
        raise InputError(f"is {asked}", "give each run at least one thread", field="threads")
    told = os.environ.get("OMP_NUM_THREADS", "")
    return asked or (int(told) if told.isdigit() and int(told) > 0 else 1)


def _available_cores() -> int:
    """Return the cores that this process may use, which may be fewer than the machine's in a container."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _free_memory() -> float:
    import psutil
    import torch

    if torch.cuda.is_available():
        return float(torch.cuda.mem_get_info()[0])
    return float(psutil.virtual_memory().available)


def _memory_of(cell: RunSpec) -> float:
    """Return the bytes that a run needs: those of its finished siblings, or an estimate."""
    return _measured(cell) or _LIBRARIES + _ACTIVATIONS + _COPIES * max(_weights(_models(cell)), default=0.0)


def _measured(cell: RunSpec) -> float:
    import torch

    name = "peak_gpu_memory_mb" if torch.cuda.is_available() else "peak_memory_mb"
    runs = cell.folder.parents[2]  # runs/LANGUAGE/ARM/SEED
    found = [json.loads(file.read_text(encoding="utf-8")).get(name) for file in runs.glob(f"*/*/*/{RESULTS_FILE}")]
    return _SPARE * 1e6 * max((peak for peak in found if peak), default=0.0)


def _models(cell: RunSpec) -> Iterable[str]:
    return (str(cell.options[name]) for name in ("teacher", "student") if cell.options.get(name))


def _weights(models: Iterable[str]) -> Iterable[float]:
    """Return the bytes of the weights of each model in a folder or in the Hub's cache."""
    from huggingface_hub import scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        cached = {repo.repo_id: float(repo.size_on_disk) for repo in scan_cache_dir().repos}
    except CacheNotFound:
        cached = {}
    for model in models:
        folder = Path(model).expanduser()
        if folder.is_dir():
            yield float(sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()))
        else:
            yield cached.get(model, 0.0)
