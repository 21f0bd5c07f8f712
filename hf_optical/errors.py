"""Errors that a user can act on: what was wrong, where, what was found, and what to do."""

from __future__ import annotations

from pathlib import Path


class HFOpticalError(Exception):
    """Base of every error that this package raises on purpose."""


class InputError(HFOpticalError, ValueError):
    """Bad input, named precisely.

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
    """A NaN or infinity in a teacher, student, plan, loss or gradient, found before the optimizer step."""
