"""Atomic writing of files and folders, also if a process is killed."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["whole_file", "whole_folder"]

_PREFIX = ".writing-"  # marks what a killed process leaves behind


@contextmanager
def _full_disk_named(path: Path) -> Iterator[None]:
    """Raise an OSError with the path if the disk is full, where a library names no file or has an error of its own."""
    full = os.strerror(errno.ENOSPC)
    try:
        yield
    except Exception as error:
        if full not in str(error) or getattr(error, "filename", None):
            raise
        raise OSError(errno.ENOSPC, full, str(path)) from error


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Provide a temporary file that replaces the given file at the end of the block.

    Args:
        path: The file; its folder is created if missing.

    Yields:
        An empty file in the same folder. After an error it is removed, and ``path`` is unchanged.

    Raises:
        OSError: The folder cannot be written.

    Example:
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with whole_file(Path(folder) / "a.txt") as scratch:
        ...         _ = scratch.write_text("all of it")
        ...     (Path(folder) / "a.txt").read_text(), len(list(Path(folder).iterdir()))
        ('all of it', 1)
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=_PREFIX)
    os.close(handle)
    scratch = Path(name)
    try:
        with _full_disk_named(path):
            yield scratch
        with scratch.open("rb") as stream:
            os.fsync(stream.fileno())
        # mkstemp makes files readable by the owner only, but everyone who may read the folder may read results
        scratch.chmod(0o644)
        os.replace(scratch, path)
    finally:
        scratch.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: str | Path, *, keep_first: bool = False) -> Iterator[Path]:
    """Provide a temporary folder that replaces the given folder at the end of the block.

    Args:
        path: The folder; its parent is created if missing.
        keep_first: If another process has made the folder meanwhile, keep that one. For folders named by their content,
            such as caches.

    Yields:
        An empty folder with the same parent. After an error it is removed, and ``path`` is unchanged.

    Raises:
        OSError: The parent cannot be written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=path.parent, prefix=_PREFIX))
    try:
        with _full_disk_named(path):
            yield scratch
        scratch.chmod(0o755)  # mkdtemp makes folders for the owner only
        if keep_first:
            _move_unless_there(scratch, path)
        else:
            _replace(scratch, path)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _move_unless_there(scratch: Path, path: Path) -> None:
    try:
        os.replace(scratch, path)
    except OSError:
        if not path.is_dir():
            raise


def _replace(scratch: Path, path: Path) -> None:
    """Replace one folder by another; a folder that is not empty cannot be replaced in one step."""
    old = Path(tempfile.mkdtemp(dir=path.parent, prefix=_PREFIX)) / "old"
    try:
        if path.exists():
            os.replace(path, old)
        try:
            os.replace(scratch, path)
        except OSError:
            if old.exists():
                os.replace(old, path)
            raise
    finally:
        shutil.rmtree(old.parent, ignore_errors=True)
