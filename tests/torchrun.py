"""Scripts of the tests under torchrun, and training arguments under which one process and two take the same steps."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import torch

TESTS = Path(__file__).parent
PLAIN_STEPS = {
    "optim": "sgd",  # Adam divides by tiny gradients and would turn rounding into differences
    "max_grad_norm": 0,
    "weight_decay": 0.0,
    "lr_scheduler_type": "constant",
    "report_to": "none",
    "save_strategy": "no",
    "use_cpu": True,
    "disable_tqdm": True,
}


def torchrun(script: str | Path, folder: Path, *words: object, processes: int = 2, timeout: float = 280) -> None:
    """Run ``script FOLDER WORDS`` on some processes.

    One that fails ends the others and the test; started by hand, the others would wait for it.
    """
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", str(processes)]
    command += ["--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0", str(script), str(folder), *map(str, words)]
    places = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true", "PYTHONPATH": places}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=timeout)
    assert done.returncode == 0, _first_error(done.stderr)


def ranks_of(folder: Path, processes: int = 2) -> list[dict]:
    """What each rank left in ``FOLDER/rank<n>.pt``."""
    return [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in range(processes)]


def leave() -> None:
    """The end of a script: trainers are freed first, the process group last (see tests/batching/sampling_run.py)."""
    gc.collect()
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _first_error(text: str) -> str:
    """From the first traceback on: the process that failed first, not those that it took with it."""
    start = text.find("Traceback")
    return text[start : start + 6000] if start >= 0 else text[-6000:]
