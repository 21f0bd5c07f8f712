"""Locks of folders: one process writes at a time, and a second one is told which process holds the folder."""

from __future__ import annotations

import json
import logging
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar, cast

from filelock import FileLock, Timeout

from hf_optical.errors import InputError

__all__ = ["held", "holding_output", "waited_for"]

logger = logging.getLogger(__name__)

Main = TypeVar("Main", bound=Callable[..., Any])

_LOCK, _OWNER = ".in_use.lock", ".in_use.json"


@contextmanager
def held(folder: str | Path, option: str = "output_dir") -> Iterator[None]:
    """Hold a folder so that no other process writes into it meanwhile.

    The operating system releases the lock when the process ends, even if it is killed. On file systems without locks a
    warning is logged and the block runs without a lock.

    Args:
        folder: The folder; it is created if missing, and removed again if it is empty at the end. A file in its place
            is left to the code that reads it.
        option: The option that names the folder, for the message.

    Raises:
        InputError: Another process holds the folder; the message names it, its machine, start and command.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with held(folder), held(folder):
        ...         pass
        Traceback (most recent call last):
        ...
        hf_optical.errors.InputError: ...: is in use by process ... since ...
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        yield
        return
    made = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError(
            f"is in use by {_owner(folder)}", f"wait for it, end it, or choose another --{option}", path=folder
        ) from None
    except NotImplementedError:
        logger.warning("%s: the file system has no locks, so do not start another process with this folder", folder)
        yield
        return
    try:
        _sign(folder)
        yield
    finally:
        for name in (_OWNER, _LOCK):  # removed while it is held; the next process creates a new one
            with suppress(OSError):
                (folder / name).unlink()
        lock.release()
        if made:
            with suppress(OSError):
                folder.rmdir()


def holding_output(main: Main) -> Main:
    """Decorator with which the ``main`` of a command holds its ``output_dir``, unless it only plans or reports.

    Of several processes of one run, the first holds the folder for all.
    """

    @wraps(main)
    def inside(config: Any) -> Any:
        first = int(os.environ.get("RANK", "0")) == 0
        if not first or getattr(config, "plan", False) or getattr(config, "report_only", False):
            return main(config)
        with held(config.output_dir):
            return main(config)

    return cast("Main", inside)


@contextmanager
def waited_for(file: str | Path, what: str) -> Iterator[None]:
    """Wait for a lock whose holder makes something that this process needs, and log the holder.

    Args:
        file: The lock file.
        what: The thing that is made, for the message.
    """
    file = Path(file)
    lock = FileLock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        logger.warning("%s is being written by %s; waiting for it", what, _owner(file.parent, f"{file.name}.owner"))
        lock.acquire()
    try:
        with suppress(OSError):  # a full disk; naming the holder is not worth an error
            _sign(file.parent, f"{file.name}.owner")
        yield
    finally:
        with suppress(OSError):
            (file.parent / f"{file.name}.owner").unlink()
        lock.release()


def _sign(folder: Path, name: str = _OWNER) -> None:
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])[:300]
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    about = {"process": os.getpid(), "machine": socket.gethostname(), "since": since, "command": command}
    (folder / name).write_text(json.dumps(about), encoding="utf-8")


def _owner(folder: Path, name: str = _OWNER) -> str:
    """Describe the process that holds a folder; it may not have written its name yet."""
    try:
        about = json.loads((folder / name).read_text(encoding="utf-8"))
        return f"process {about['process']} on {about['machine']} since {about['since']} ({about['command']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
