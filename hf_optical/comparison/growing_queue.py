"""Queue from which workers take the runs of a comparison, so that no two grow the same student at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from hf_optical.comparison.matrix import RunSpec
from hf_optical.students.grow import VOCABULARIES

_LOOK_AGAIN = 0.2
"""Seconds between checks whether a student has been grown."""


class GrowingQueue:
    """Queue of runs in their order, except that a run waits while another run grows the same student.

    A grown student is kept for all runs that start from it. A second run that started at the same time would only wait,
    or grow it again.

    Args:
        cells: The runs.
    """

    def __init__(self, cells: Iterable[RunSpec]) -> None:
        self._waiting = list(cells)
        self._growing: dict[Any, RunSpec] = {}
        self._changed = threading.Condition()

    def take(self) -> RunSpec | None:
        """Return the next run whose student is not being grown, waiting for it; ``None`` if no run is left."""
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
        """Report that a run has ended, finished or not."""
        with self._changed:
            if self._growing.get(_student(cell)) is cell:
                del self._growing[_student(cell)]
            self._changed.notify_all()

    def close(self) -> None:
        """Return no more runs from now on."""
        with self._changed:
            self._waiting.clear()
            self._changed.notify_all()


def _student(cell: RunSpec) -> Any:
    return (*cell.student(), cell.seed)
