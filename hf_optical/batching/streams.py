"""Endless stream of the rows of one data set: without replacement, reshuffled when exhausted."""

from __future__ import annotations

import numpy as np

from hf_optical.batching.conflicts import ConflictIndex
from hf_optical.batching.epochs import shuffled

_LOOK_BACK = 256


class Batch:
    """Batch under construction: its rows and their keys."""

    def __init__(self, conflicts: ConflictIndex) -> None:
        self.rows: list[int] = []
        self._present: set[int] = set()
        self._keys: set[int] = set()
        self._conflicts = conflicts

    def admits(self, row: int) -> bool:
        """Return whether ``row`` conflicts with no row of the batch."""
        return row not in self._present and self._keys.isdisjoint(self._conflicts.keys(row))

    def add(self, row: int) -> None:
        """Add ``row`` to the batch."""
        self.rows.append(row)
        self._present.add(row)
        self._keys.update(self._conflicts.keys(row))


class RowStream:
    """Endless stream of the rows of one data set.

    A row that a batch does not admit is postponed and offered first to the following batches, until the rows are
    reshuffled.

    Args:
        first: Number of the dataset's first row.
        rows: Number of its rows.
        rng: Random generator of the order.

    Example:
        >>> index = ConflictIndex([np.array([[1], [1], [2]], dtype=np.uint64)])
        >>> stream, batch = RowStream(0, 3, np.random.default_rng(0)), Batch(index)
        >>> for _ in range(2):
        ...     batch.add(stream.take(batch))
        >>> len(set(batch.rows) & {0, 1}), stream.take(batch)
        (1, None)
    """

    def __init__(self, first: int, rows: int, rng: np.random.Generator) -> None:
        self._first, self._rows, self._rng = first, rows, rng
        self._order = np.empty(0, dtype=np.int64)
        self._next = 0
        self._put_off: list[int] = []

    def take(self, batch: Batch) -> int | None:
        """Return the next row that ``batch`` admits, or ``None`` if the data set has no such row."""
        for place, row in enumerate(self._put_off[:_LOOK_BACK]):
            if batch.admits(row):
                del self._put_off[place]
                return row
        found = self._find(self._order, self._next, batch)
        if found is None:
            found = self._reshuffle(batch)
        if found is None:
            return None
        self._put_off += self._numbers(self._order[self._next : found])
        self._next = found + 1
        return int(self._order[found]) + self._first

    def reset(self) -> None:
        """Start a new order and discard the rest of the current one."""
        self._order, self._next, self._put_off = shuffled(self._rng, self._rows), 0, []

    def _reshuffle(self, batch: Batch) -> int | None:
        """Reshuffle and return the place of an admitted row; keep the old order if there is none."""
        order = shuffled(self._rng, self._rows)
        found = self._find(order, 0, batch)
        if found is not None:
            # Rows postponed before this pass had a whole pass to be drawn; they are part of the new order now.
            self._put_off = self._numbers(self._order[self._next :])
            self._order, self._next = order, 0
        return found

    def _find(self, order: np.ndarray, start: int, batch: Batch) -> int | None:
        return next((at for at in range(start, len(order)) if batch.admits(int(order[at]) + self._first)), None)

    def _numbers(self, places: np.ndarray) -> list[int]:
        return [row + self._first for row in places.tolist()]
