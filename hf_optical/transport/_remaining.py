"""Bookkeeping of pairs that leave a batch once they have converged, so that the others are solved faster."""

from __future__ import annotations

import torch
from torch import Tensor


def may_look(tensor: Tensor) -> bool:
    """Return whether values can be read without waiting for a device.

    Example:
        >>> may_look(torch.ones(1))
        True
    """
    return tensor.device.type == "cpu"


class Remaining:
    """Pairs of a batch that are still being solved, and the plans of those that are done.

    Args:
        pairs: Number of pairs in the batch.

    Example:
        >>> remaining = Remaining(3)
        >>> remaining.drop(torch.tensor([False, True, False]), torch.full((1, 1, 1), 5.0))
        tensor([0, 2])
        >>> remaining.plan(torch.zeros(2, 1, 1)).flatten()
        tensor([0., 5., 0.])
    """

    def __init__(self, pairs: int) -> None:
        self._index = torch.arange(pairs)
        self._done: list[tuple[Tensor, Tensor]] = []

    def drop(self, done: Tensor, plans: Tensor) -> Tensor:
        """Store the plans of the pairs that are done.

        Args:
            done: Booleans, ``(b,)``, one per pair that remained so far.
            plans: Plans of the ``k`` pairs that are done, ``(k, n, m)``.

        Returns:
            Positions of the pairs that remain, ``(b - k,)``, among the ``b``.
        """
        self._done.append((self._index[done], plans))
        left = (~done).nonzero().squeeze(1)
        self._index = self._index[left]
        return left

    def plan(self, last: Tensor) -> Tensor:
        """Return all plans in the order of the batch, ``(B, n, m)``, given those of the pairs that still remain."""
        if not self._done:
            return last
        pairs = len(self._index) + sum(len(index) for index, _ in self._done)
        whole = last.new_empty(pairs, *last.shape[1:])
        for index, plans in [*self._done, (self._index, last)]:
            whole[index] = plans
        return whole
