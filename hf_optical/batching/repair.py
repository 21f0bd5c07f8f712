"""Move rows between batches until no two rows of a batch are in conflict."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hf_optical.batching.conflicts import ConflictIndex
from hf_optical.errors import InputError

_NEIGHBOURS = 100
_DRAWS = 100


def resolve_conflicts(order: np.ndarray, batch_size: int, conflicts: ConflictIndex, rng: np.random.Generator) -> int:
    """Change ``order`` in place so that no two rows of a batch share a key.

    A row in conflict is exchanged with a row of a nearby batch, so that lengths stay similar and every row is still
    drawn once. If no exchange is possible, another row is drawn a second time in its place; in an incomplete last batch
    the place is left empty (-1).

    Args:
        order: Integer array of shape ``(n,)``: the rows, batch after batch.
        batch_size: Rows per batch; the last batch may be incomplete.
        conflicts: Index of the rows' keys.
        rng: Random generator of the replacements.

    Returns:
        Number of rows left out because no place was found for them.

    Raises:
        InputError: No row can fill a place because there are too few distinct texts.

    Example:
        >>> index = ConflictIndex([np.array([[7], [7], [1], [2]], dtype=np.uint64)])
        >>> order = np.arange(4)
        >>> resolve_conflicts(order, 2, index, np.random.default_rng(0)), order.reshape(2, 2).tolist()
        (0, [[0, 2], [1, 3]])
    """
    table = _Batches(order, batch_size, conflicts)
    left_out = 0
    for place in table.conflicting_places():
        if not table.swap(place):
            table.replace(place, rng)
            left_out += 1
    return left_out


class _Batches:
    """Rows by place, and the keys used in each batch."""

    def __init__(self, order: np.ndarray, size: int, conflicts: ConflictIndex) -> None:
        self.order, self.size, self.conflicts = order, size, conflicts
        self.count = -(-len(order) // size)
        self.used: dict[int, set[int]] = {}
        self.open: set[int] = set()
        self.twice: set[int] = set()  # rows drawn a second time, which share all keys with themselves

    def conflicting_places(self) -> list[int]:
        """List the places whose row repeats a key of its batch; the first row with a key stays."""
        for place in np.flatnonzero(self.conflicts.involved()[self.order]).tolist():
            used = self.used.setdefault(place // self.size, set())
            keys = self.keys(place)
            if used.isdisjoint(keys):
                used.update(keys)
            else:
                self.open.add(place)
        return sorted(self.open)

    def keys(self, place: int) -> tuple[int, ...]:
        return self.conflicts.keys(int(self.order[place]))

    def swap(self, place: int) -> bool:
        """Exchange the row at ``place`` with a row of a nearby batch; return False if none fits."""
        batch, keys = place // self.size, self.keys(place)
        here = self.used[batch]
        for other in self._near(batch):
            there = self.used.setdefault(other, set())
            # The batch already holds the keys of a row that was drawn a second time, so it cannot move there again.
            if not there.isdisjoint(keys):
                continue
            for candidate in range(other * self.size, min((other + 1) * self.size, len(self.order))):
                given = self.keys(candidate)
                if candidate in self.open or self.order[candidate] < 0 or not here.isdisjoint(given):
                    continue
                if int(self.order[candidate]) in self.twice:
                    continue
                self.order[place], self.order[candidate] = self.order[candidate], self.order[place]
                there.difference_update(given)
                there.update(keys)
                here.update(given)
                self.open.discard(place)
                return True
        return False

    def replace(self, place: int, rng: np.random.Generator) -> None:
        """Draw another row a second time for ``place``, or leave the place empty in an incomplete batch."""
        batch = place // self.size
        start, stop = batch * self.size, (batch + 1) * self.size
        self.open.discard(place)
        if stop > len(self.order):
            self.order[place] = -1
            return
        here, present = self.used[batch], set(self.order[start:stop].tolist())
        for row in self._draws(rng):
            keys = self.conflicts.keys(row)
            if row >= 0 and row not in present and here.isdisjoint(keys):
                self.order[place] = row
                self.twice.add(row)
                here.update(keys)
                return
        raise InputError(
            f"a batch of {self.size} rows cannot be filled without two equal texts",
            "use a smaller batch_size, remove repeated texts, or set no_duplicates=False",
            field="batch_size",
        )

    def _near(self, batch: int) -> list[int]:
        around = (batch + sign * step for step in range(1, _NEIGHBOURS + 1) for sign in (1, -1))
        return [other for other in around if 0 <= other < self.count]

    def _draws(self, rng: np.random.Generator) -> Iterator[int]:
        """Yield some rows at random, then all of them, so that a row that fits is found if there is one."""
        yield from self.order[rng.integers(len(self.order), size=_DRAWS)].tolist()
        yield from self.order[rng.permutation(len(self.order))].tolist()
