"""The order in which workers take the runs of a comparison: no two grow the same student at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from hf_optical.comparison.matrix import RunSpec
from hf_optical.students.grow import VOCABULARIES

_LOOK_AGAIN = 0.2
"""Seconds after which to see whether a student has been grown."""


class GrowingQueue:
    """Runs in their order, except that a run whose student another run is growing is left for later.

    What is grown is kept for all runs that start from it; a second run that began at the same time would only wait, or
    grow it again.

    Args:
        cells: The runs.
    """

    def __init__(self, cells: Iterable[RunSpec]) -> None:
        self._waiting = list(cells)
        self._growing: dict[Any, RunSpec] = {}
        self._changed = threading.Condition()

    def take(self) -> RunSpec | None:
        """The next run, once there is one whose student is not being grown; ``None`` where none is left."""
        with self._changed:
            while self._waiting:
                for key, cell in list(self._growing.items()):
                    if (cell.folder / "untrained").is_dir():
                        del self._growing[key]
                for cell in self._waiting:
                    if _student(cell) not in self._growing:
                        self._waiting.remove(cell)
                        if str(cell.options.get("student", "extend")) in VOCABULARIES:
                            self._growing[_student(cell)] = cell
                        return cell
                self._changed.wait(_LOOK_AGAIN)
            return None

    def ended(self, cell: RunSpec) -> None:
        """Say that a run has ended, whether or not it was finished."""
        with self._changed:
            if self._growing.get(_student(cell)) is cell:
                del self._growing[_student(cell)]
            self._changed.notify_all()

    def close(self) -> None:
        """Give out no more runs."""
        with self._changed:
            self._waiting.clear()
            self._changed.notify_all()


def _student(cell: RunSpec) -> Any:
    return (*cell.student(), cell.seed)
