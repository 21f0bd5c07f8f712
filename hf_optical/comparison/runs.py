"""Running what is missing of a comparison: several runs at a time, each in a process of its own, none twice."""

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
    """Run what is not done yet, several at a time, each in a process of its own.

    A run that an earlier, killed comparison left behind and that is still going on is waited for, not started again.
    Results do not depend on ``workers``. Where this process is told to stop (Ctrl-C, ``SIGTERM``), its runs are stopped
    too, before it ends; the next call goes on from their checkpoints.

    Args:
        cells: The runs.
        program: What Python is started with, before a run's flags: ``-m hf_optical.train``.
        workers: Runs at a time.
        threads: Of each run, on the CPU.
        keep_models: Whether to keep the trained models; only the results are kept otherwise.
        on_done: Called after each run, while its models are still there; never twice at a time.

    Raises:
        InputError: ``workers`` is less than 1.
        HFOpticalError: A run failed; the others that had begun are finished, and a second call goes on from there.
    """
    if workers < 1:
        raise InputError(f"is {workers}", "run at least one at a time", field="workers")
    waiting = [cell for cell in cells if not cell.is_done()]
    queue, processes, one_at_a_time = GrowingQueue(waiting), Processes(), threading.Lock()
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "TOKENIZERS_PARALLELISM": "false"}

    def finish(cell: RunSpec) -> None:
        # Models are loaded here, which the libraries do not do in two threads at a time.
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
            raise  # the others are waited for
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
    if not cell.is_begun():  # of other options, or none: an interrupted run of these goes on from its checkpoint
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
            pass_fds=() if lock is None else (lock,),  # the run holds the lock too, and outlives us if we are killed
        )
    if code != 0:
        last = next((line for line in reversed(log.read_text(encoding="utf-8").splitlines()) if line.strip()), "")
        raise HFOpticalError(
            f"the run {cell.language}/{cell.arm}/{cell.seed} ended with code {code}: {last[-300:]} (log: {log})"
        )


@contextmanager
def _claimed(cell: RunSpec) -> Iterator[int | None]:
    """The run's folder, for one process at a time; on systems without file locks, for whoever comes."""
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
