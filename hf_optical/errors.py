"""Errors that a user can act on: what was wrong, where, what was found, and what to do.

The tree of exceptions; every one carries its message in full, and :func:`hf_optical.configuration.run` turns it into
exit code 2::

    HFOpticalError
    |-- InputError (ValueError)                what the user gave: file, row, field, finding, remedy
    |   `-- data.languages.UnknownLanguageError
    |-- NonFiniteError (FloatingPointError)    NaN or infinity, found before the optimizer step
    |-- OutOfMemoryError (MemoryError)         memory ran out; what to change
    `-- training.monitor.TrainingAlarm         the monitor stopped a training

Checks of arguments that raise them, and the recognition of other libraries' out-of-memory errors, stand here too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

_SIGNS = (
    "out of memory",  # CUDA, XPU, MPS
    "can't allocate memory",  # PyTorch's allocator on CPU, Linux
    "not enough memory",  # the same on Windows and macOS
    "cannot allocate memory",
    "unable to allocate",  # numpy
    "malloc of size",  # Arrow
)


class HFOpticalError(Exception):
    """Base of every error that this package raises on purpose."""


class InputError(HFOpticalError, ValueError):
    """Error for bad input, which names file, row, field, problem and remedy.

    Args:
        problem: What is wrong, in one sentence, with what was found.
        remedy: What the user can do about it.
        path: The file or folder concerned.
        row: The 1-based row (line) in that file.
        field: The column or key concerned.

    Example:
        >>> print(InputError("the text is empty", "remove the row", path="a.tsv", row=3, field="source"))
        a.tsv, row 3, field 'source': the text is empty. Remedy: remove the row.
    """

    def __init__(
        self,
        problem: str,
        remedy: str,
        *,
        path: str | Path | None = None,
        row: int | None = None,
        field: str | None = None,
    ) -> None:
        self.problem, self.remedy, self.path, self.row, self.field = problem, remedy, path, row, field
        where = ", ".join(
            part
            for part in (
                str(path) if path is not None else "",
                f"row {row}" if row is not None else "",
                f"field {field!r}" if field is not None else "",
            )
            if part
        )
        text = f"{where}: {problem}" if where else problem
        super().__init__(f"{text.rstrip('.')}. Remedy: {remedy.rstrip('.')}.")


class NonFiniteError(HFOpticalError, FloatingPointError):
    """Error for NaN or infinity in a teacher, student, plan, loss or gradient, raised before the optimizer step."""


class OutOfMemoryError(HFOpticalError, MemoryError):
    """Error for exhausted memory, which says where and what to change."""


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error of any library says that memory ran out.

    Example:
        >>> is_out_of_memory(RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"))
        True
        >>> is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
        False
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in _SIGNS)


@contextmanager
def explained(place: Callable[[], str], remedies: Callable[[], list[str]]) -> Iterator[None]:
    """Turn out-of-memory errors of any library into `OutOfMemoryError`; other errors are raised unchanged.

    Args:
        place: Function that names the place, called after an error.
        remedies: Function that lists what to change, best first, called after an error.

    Raises:
        OutOfMemoryError: In place of the library's.

    Example:
        >>> with explained(lambda: "step 3", lambda: ["batch_size 8 in place of 16"]):
        ...     raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has ...")
        Traceback (most recent call last):
        ...
        hf_optical.errors.OutOfMemoryError: step 3: memory ran out (CUDA out of memory). Remedy: ...
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, HFOpticalError) or not is_out_of_memory(error):
            raise
        raise OutOfMemoryError(message(error, place(), remedies())) from error


def message(error: BaseException, place: str, remedies: list[str]) -> str:
    """Format the message: place, finding and remedies."""
    found = (str(error).splitlines() or [""])[0].split(". ")[0].strip(" .")[:160] or type(error).__name__
    choice = "; or ".join(remedies)
    return f"{place}: memory ran out ({found}). Remedy: {choice}. hf-optical plan estimates beforehand what fits."


def check_choice(name: str, value: str, choices: Collection[str]) -> None:
    """Raise an error for a value that is none of the choices.

    Args:
        name: The argument.
        value: The given value.
        choices: The allowed values.

    Raises:
        InputError: The value is none of the choices.

    Example:
        >>> check_choice("objective", "nse", ("triplet", "nce"))
        Traceback (most recent call last):
        hf_optical.errors.InputError: field 'objective': is 'nse'. Remedy: use one of triplet, nce.
    """
    if value not in choices:
        raise InputError(f"is {value!r}", f"use one of {', '.join(choices)}", field=name)


def check_positive(name: str, value: float) -> None:
    """Raise an error for a value that is not above 0, including NaN.

    Args:
        name: The argument.
        value: The given value.

    Raises:
        InputError: The value is not above 0.

    Example:
        >>> check_positive("temperature", 0)
        Traceback (most recent call last):
        hf_optical.errors.InputError: field 'temperature': is 0. Remedy: give a positive number.
    """
    if not value > 0:
        raise InputError(f"is {value}", "give a positive number", field=name)


def pip_install(extra: str) -> str:
    """Return the command that installs an optional extra's packages by their own names.

    It works for an installation from a clone, too, where ``pip install hf-optical[extra]`` would look for this package
    on an index.

    Args:
        extra: Name of the extra in ``pyproject.toml``.

    Example:
        >>> pip_install("index").startswith("pip install 'qdrant-client")
        True
    """
    try:
        lines = requires("hf-optical") or []
    except PackageNotFoundError:  # imported from a folder that is not installed
        lines = []
    named = re.compile(rf"""extra\s*==\s*["']{re.escape(extra)}["']""")
    found = [line.partition(";")[0].strip() for line in lines if named.search(line)]
    return "pip install " + " ".join(f"'{one}'" for one in found or [f"hf-optical[{extra}]"])
