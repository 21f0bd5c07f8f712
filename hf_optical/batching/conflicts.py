"""Conflicts between rows of a batch: rows that share a text or an underlying id."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


class ConflictIndex:
    """Index of shared keys; rows with a key in common are in conflict.

    Only keys of two or more rows are kept, so that a corpus with few duplicates costs four or eight bytes per row and
    most rows need no look-up at all.

    Args:
        blocks: One uint64 array of shape ``(n_i, k_i)`` per dataset: the keys of its rows. Rows
            are numbered through the blocks in order, as `torch.utils.data.ConcatDataset` does.

    Example:
        >>> index = ConflictIndex([np.array([[1, 2], [3, 3], [2, 4]], dtype=np.uint64)])
        >>> index.keys(0) == index.keys(2), index.keys(1)
        (True, ())
    """

    def __init__(self, blocks: Sequence[np.ndarray]) -> None:
        codes, counts, cells = [np.empty(0, np.int32)], [np.zeros(1, np.int64)], _shared_codes(blocks)
        for block in blocks:
            own, cells = cells[: block.size].reshape(block.shape), cells[block.size :]
            codes.append(own[own >= 0])
            counts.append((own >= 0).sum(axis=1, dtype=np.int64))
        self._codes = np.concatenate(codes)
        start = np.cumsum(np.concatenate(counts))
        self._start = start.astype(np.int32) if start[-1] <= np.iinfo(np.int32).max else start

    def __len__(self) -> int:
        return len(self._start) - 1

    def keys(self, row: int) -> tuple[int, ...]:
        """Return the keys that row ``row`` shares with any other row; empty for a row without conflicts."""
        return tuple(self._codes[self._start[row] : self._start[row + 1]].tolist())

    def involved(self) -> np.ndarray:
        """Return the mask of rows in conflict with another row, a boolean array of shape ``(n,)``."""
        return np.diff(self._start) > 0


def _shared_codes(blocks: Sequence[np.ndarray]) -> np.ndarray:
    """Number the keys of all rows in order: equal numbers for equal keys, -1 for a key of a single row."""
    flat = np.concatenate([np.empty(0, np.uint64), *(block.ravel() for block in blocks)])
    first = np.concatenate([np.empty(0, bool), *(_first_in_row(block).ravel() for block in blocks)])
    order = np.argsort(flat)
    order = order[first[order]]
    ordered = flat[order]
    same = ordered[1:] == ordered[:-1]
    del flat, first, ordered
    shared = np.zeros(len(order), dtype=bool)
    shared[1:] |= same
    shared[:-1] |= same
    group = np.zeros(len(order), dtype=np.int32)
    np.cumsum(~same, out=group[1:])
    group[~shared] = -1
    # A key that is repeated within its own row causes no conflict by itself.
    codes = np.full(sum(block.size for block in blocks), -1, dtype=np.int32)
    codes[order] = group
    return codes


def _first_in_row(block: np.ndarray) -> np.ndarray:
    """Mark keys that are not in an earlier column of their own row, since a row does not conflict with itself."""
    mask = np.ones(block.shape, dtype=bool)
    for k in range(1, block.shape[1]):
        mask[:, k] = (block[:, :k] != block[:, k : k + 1]).all(axis=1)
    return mask
