"""Execution of a comparison's missing runs: several at a time, each in its own process, none twice."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from tqdm import tqdm

from hf_optical.comparison.growing_queue import GrowingQueue
from hf_optical.comparison.matrix import MARKER, RunSpec
from hf_optical.comparison.processes import Processes, told_to_stop
from hf_optical.errors import HFOpticalError, InputError
from hf_optical.results.files import write_json

DISK_FILE = "disk.json"
_LOCK = ".lock"


def run_cells(
    cells: Iterable[RunSpec],
    program: Sequence[str],
    *,
    workers: int = 1,
    threads: int = 1,
    keep_models: bool = False,
    on_done: Callable[[RunSpec], None] | None = None,
) -> None:
    """Run the unfinished runs, several at a time, each in its own process.

    A run that an earlier, killed comparison started and that is still running is waited for and not started again.
    Results do not depend on ``workers``. If this process is stopped (Ctrl-C, ``SIGTERM``), its runs are stopped before
    it ends; the next call resumes them from their checkpoints.

    Args:
        cells: The runs.
        program: Arguments of Python before a run's flags: ``-m hf_optical.train``.
        workers: Number of runs at a time.
        threads: CPU threads of each run.
        keep_models: Whether to keep the trained models; otherwise only results are kept.
        on_done: Function called after each run, before its models are removed; calls do not overlap.

    Raises:
        InputError: ``workers`` is less than 1.
        HFOpticalError: A run failed; runs that had started are finished, and another call continues from there.
    """
    if workers < 1:
        raise InputError(f"is {workers}", "run at least one at a time", field="workers")
    waiting = [cell for cell in cells if not cell.is_done()]
    queue, processes, one_at_a_time = GrowingQueue(waiting), Processes(), threading.Lock()
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false"}

    def finish(cell: RunSpec) -> None:
        # Models are loaded here, which the libraries do not support in two threads at a time.
        with one_at_a_time:
            _finish(cell, keep_models, on_done)
            bar.set_postfix_str(f"{cell.language} {cell.arm} seed {cell.seed}", refresh=False)
            bar.update()

    def work() -> None:
        while (cell := queue.take()) is not None:
            try:
                with _claimed(cell) as lock:
                    if not cell.is_done():
                        _start(cell, program, environment, lock, processes)
                    finish(cell)
            except BaseException:
                queue.close()
                raise
            finally:
                queue.ended(cell)

    with tqdm(total=len(waiting), desc="runs", disable=not waiting) as bar, ThreadPoolExecutor(workers) as pool:
        try:
            with told_to_stop():
                futures = [pool.submit(work) for _ in range(min(workers, len(waiting)))]
                for future in futures:
                    future.result()
        except HFOpticalError:
            raise  # the other runs are finished first
        except BaseException:
            queue.close()
            processes.stop()
            raise


def _finish(cell: RunSpec, keep_models: bool, on_done: Callable[[RunSpec], None] | None) -> None:
    model = cell.folder / "model"
    if model.is_dir():
        size = sum(file.stat().st_size for file in model.rglob("*") if file.is_file())
        write_json(cell.folder / DISK_FILE, {"model_mb": round(size / 1e6, 1)})
    if on_done is not None:
        on_done(cell)
    if not keep_models:
        for name in ("model", "untrained"):
            shutil.rmtree(cell.folder / name, ignore_errors=True)


def _start(
    cell: RunSpec, program: Sequence[str], environment: Mapping[str, str], lock: int | None, processes: Processes
) -> None:
    # a run with other options, or none; an interrupted run of these options resumes from its checkpoint
    if not cell.is_begun():
        for path in cell.folder.iterdir():
            if path.name != _LOCK:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        options = {**cell.fingerprint(), "options": dict(cell.options)}
        write_json(cell.folder / MARKER, options)
    log = cell.folder / "log.txt"
    with log.open("a", encoding="utf-8") as stream:
        code = processes.run(
            [sys.executable, *program, *cell.flags],
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            # the run inherits the lock and survives if this process is killed
            pass_fds=() if lock is None else (lock,),
        )
    if code != 0:
        last = next((line for line in reversed(log.read_text(encoding="utf-8").splitlines()) if line.strip()), "")
        raise HFOpticalError(
            f"the run {cell.language}/{cell.arm}/{cell.seed} ended with code {code}: {last[-300:]} (log: {log})"
        )


@contextmanager
def _claimed(cell: RunSpec) -> Iterator[int | None]:
    """Hold the run's folder for one process at a time; without file locks nothing is held."""
    cell.folder.mkdir(parents=True, exist_ok=True)
    try:
        import fcntl
    except ImportError:  # Windows
        yield None
        return
    with (cell.folder / _LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tqdm.write(f"{cell.folder} is still being written by an earlier comparison's run; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()
