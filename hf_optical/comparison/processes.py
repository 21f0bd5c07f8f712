"""Processes of a comparison's runs, which are stopped together with it."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

_PATIENCE = 20.0
"""Seconds that a process has to end by itself before it is killed."""


class Processes:
    """Set of running processes."""

    def __init__(self) -> None:
        self._alive: set[subprocess.Popen[Any]] = set()
        self._stopped = False
        self._lock = threading.Lock()

    def run(self, command: Sequence[str], **options: Any) -> int:
        """Start a process and wait for it.

        Args:
            command: Program and arguments.
            **options: Options of ``subprocess.Popen``.

        Returns:
            The exit code of the process.

        Example:
            >>> import sys
            >>> Processes().run([sys.executable, "-c", "raise SystemExit(3)"])
            3
        """
        with self._lock:
            if self._stopped:
                return -signal.SIGTERM
            process = subprocess.Popen(list(command), **options)  # noqa: S603
            self._alive.add(process)
        try:
            return process.wait()
        finally:
            with self._lock:
                self._alive.discard(process)

    def stop(self) -> None:
        """Terminate all processes, and kill those that do not end; no process can be started afterwards."""
        with self._lock:
            self._stopped = True
            alive = list(self._alive)
        for process in alive:
            process.terminate()
        for process in alive:
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def told_to_stop() -> Iterator[None]:
    """Turn ``SIGTERM`` into ``SystemExit`` within the context, so that clean-up code runs; main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
