"""Epoch and number of processes for batch samplers."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import torch


class EpochRelay:
    """Replacement of a data set's ``set_epoch`` that passes the epoch on to its samplers.

    accelerate wraps a batch sampler once for several processes and once more to resume in
    mid-epoch. Its ``set_epoch`` does not reach through both, so the resumed epoch would be drawn
    in the order of epoch 0. It does call ``set_epoch`` of the dataset in that case.

    Example:
        >>> class Counter:
        ...     epoch = 0
        ...     def set_epoch(self, epoch): self.epoch = epoch
        >>> class Rows: pass
        >>> rows, counter = Rows(), Counter()
        >>> EpochRelay.attach(rows, counter)
        >>> rows.set_epoch(3)
        >>> counter.epoch
        3
    """

    def __init__(self) -> None:
        self._samplers: weakref.WeakSet[Any] = weakref.WeakSet()

    def __call__(self, epoch: int) -> None:
        """Pass the epoch, counted from 0, to every attached sampler."""
        for sampler in list(self._samplers):
            sampler.set_epoch(epoch)

    def __reduce__(self) -> tuple[type[EpochRelay], tuple[()]]:
        # A copy of the dataset, or one in a worker process, has no samplers attached.
        return EpochRelay, ()

    @staticmethod
    def attach(dataset: Any, sampler: Any) -> None:
        """Make ``dataset.set_epoch(epoch)`` call ``sampler.set_epoch(epoch)``; other datasets keep their own."""
        relay = getattr(dataset, "set_epoch", None)
        if relay is None:
            relay = dataset.set_epoch = EpochRelay()
        if isinstance(relay, EpochRelay):
            relay._samplers.add(sampler)


def world_size() -> int:
    """Return the number of processes that train together, 1 outside `torch.distributed`."""
    distributed = torch.distributed
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def epoch_rng(seed: int | None, epoch: int) -> np.random.Generator:
    """Make a generator that depends on the seed and the epoch alone, so that every process draws the same."""
    return np.random.default_rng([(seed or 0) % 2**32, epoch])


def shuffled(rng: np.random.Generator, rows: int) -> np.ndarray:
    """Draw a random order of ``range(rows)``, in int32 where that is enough."""
    return rng.permutation(np.arange(rows, dtype=np.int32 if rows <= np.iinfo(np.int32).max else np.int64))
