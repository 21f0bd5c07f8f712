"""Who is writing in a folder: one process at a time, and the second is told who the first is."""

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
    """A folder that no other process writes into meanwhile.

    The lock is the operating system's and goes with the process, however it ends: a folder that a killed process held
    is free. Where the file system has no locks, a warning says so and the block runs without.

    Args:
        folder: Made if absent; removed again if it is still empty at the end. A file in its place is left to its
            reader.
        option: The option that names the folder, for the message.

    Raises:
        InputError: Another process holds it; says which, on which machine, since when, and with what command.

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
        logger.warning("%s: the file system has no locks: start no other process with this folder", folder)
        yield
        return
    try:
        _sign(folder)
        yield
    finally:
        for name in (_OWNER, _LOCK):  # while it is held: whoever comes next makes a new one
            with suppress(OSError):
                (folder / name).unlink()
        lock.release()
        if made:
            with suppress(OSError):
                folder.rmdir()


def holding_output(main: Main) -> Main:
    """Have the ``main`` of a command hold its ``output_dir``, unless it only plans or reports.

    Of several processes of one run, the first holds it for all.
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
    """A lock that is waited for, because what its holder makes is wanted; says who holds it.

    Args:
        file: Of the lock.
        what: What is being made, for the message.
    """
    file = Path(file)
    lock = FileLock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        logger.warning("%s is being written by %s; waiting for it", what, _owner(file.parent, f"{file.name}.owner"))
        lock.acquire()
    try:
        with suppress(OSError):  # a full disk: who holds it is not worth an error
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
    """Who holds a folder, in words; it may not have signed yet."""
    try:
        about = json.loads((folder / name).read_text(encoding="utf-8"))
        return f"process {about['process']} on {about['machine']} since {about['since']} ({about['command']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
