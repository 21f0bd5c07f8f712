"""Batch sampler that groups texts of similar length, so that little padding is needed."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from sentence_transformers.base.sampler import DefaultBatchSampler

from hf_optical.batching.conflicts import ConflictIndex
from hf_optical.batching.epochs import EpochRelay, epoch_rng, shuffled, world_size
from hf_optical.batching.repair import resolve_conflicts
from hf_optical.batching.texts import text_columns, text_hashes, text_lengths
from hf_optical.errors import InputError

logger = logging.getLogger(__name__)


class LengthGroupedBatchSampler(DefaultBatchSampler):
    """Sampler that draws every row once per epoch, in batches of similar length without duplicate texts.

    The rows are shuffled and cut into stretches of ``mega_batches`` batches; each stretch is sorted
    by length and cut into batches; the batches are shuffled. The order depends on the seed and the
    epoch alone. An incomplete batch comes last, where accelerate expects it.

    With several processes the number of batches is a multiple of theirs: with ``drop_last`` surplus batches are left
    out; otherwise the first batches are repeated, as `torch.utils.data.DistributedSampler` does with rows.

    Give it to the trainer as ``batch_sampler=LengthGroupedBatchSampler``, or with other options as
    ``batch_sampler=LengthGroupedBatchSampler.with_options(mega_batches=20)``.

    Args:
        dataset: The `datasets.Dataset`, with or without a format, a transform or a selection of rows.
        batch_size: Rows per batch.
        drop_last: Leave an incomplete batch out.
        valid_label_columns: Names of label columns, whose content is ignored.
        generator: Unused, but part of the signature that sentence-transformers calls; the order depends on seed and
            epoch.
        seed: Seed of the order.
        length_column: Column whose length is used; by default the longest text of the row.
        length_of: Function that returns the lengths of a list of texts. By default it counts Unicode characters, which
            is fast but predicts the number of tokens poorly: batches hold 1.34 tokens for each real one, against 1.05
            with `TokenLengths` of the student (41,000 Swahili pairs, batches of 32).
        mega_batches: Batches sorted together. More gives less padding and less randomness.
        no_duplicates: Keep rows with an equal text, in any columns, out of one batch. If a text has more copies than
            there are batches, the surplus copies are replaced by other rows.

    Raises:
        InputError: A text is missing, there is no text column, an option is out of range, or there
            are too few distinct texts to fill a batch.

    Example:
        >>> from datasets import Dataset
        >>> rows = Dataset.from_dict({"source": ["a", "aaaa", "aa", "aaa"]})
        >>> sampler = LengthGroupedBatchSampler(rows, batch_size=2, drop_last=False)
        >>> sorted(sorted(batch) for batch in sampler), len(sampler)
        ([[0, 2], [1, 3]], 2)
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int,
        drop_last: bool,
        valid_label_columns: list[str] | None = None,
        generator: torch.Generator | None = None,
        seed: int = 0,
        *,
        length_column: str | None = None,
        length_of: Callable[[list[str]], Sequence[int]] | None = None,
        mega_batches: int = 50,
        no_duplicates: bool = True,
    ) -> None:
        super().__init__(
            dataset,
            batch_size=batch_size,
            drop_last=drop_last,
            valid_label_columns=valid_label_columns,
            generator=generator,
            seed=seed,
        )
        if mega_batches < 1:
            raise InputError(f"mega_batches is {mega_batches}", "give a number of at least 1", field="mega_batches")
        self.mega_batches = mega_batches
        columns = text_columns(dataset, valid_label_columns)
        self._lengths = text_lengths(dataset, [length_column] if length_column else columns, length_of)
        self._conflicts = ConflictIndex([text_hashes(dataset, columns)]) if no_duplicates else None
        self._count = self._count_batches(len(dataset))
        EpochRelay.attach(dataset, self)

    @classmethod
    def with_options(cls, **options: Any) -> Callable[..., LengthGroupedBatchSampler]:
        """Make the argument ``batch_sampler=`` with other options than the defaults.

        Args:
            options: ``length_column``, ``length_of``, ``mega_batches``, ``no_duplicates``.

        Example:
            >>> make = LengthGroupedBatchSampler.with_options(no_duplicates=False)
        """
        return functools.partial(cls, **options)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[list[int]]:
        rng = epoch_rng(self.seed, self.epoch)
        order = self._grouped(rng)
        if self._conflicts is not None:
            replaced = resolve_conflicts(order, self.batch_size, self._conflicts, rng)
            if replaced:
                logger.warning(
                    "Epoch %d: %d rows are left out because their texts have more copies than there are batches; "
                    "other rows are drawn twice in their place.",
                    self.epoch,
                    replaced,
                )
        for batch in self._batch_order(len(order), rng):
            rows = order[batch * self.batch_size : (batch + 1) * self.batch_size]
            yield rows[rows >= 0].tolist()

    def _grouped(self, rng: np.random.Generator) -> np.ndarray:
        """Return all rows to use, batch after batch, with similar lengths side by side."""
        order = shuffled(rng, len(self._lengths))
        if self.drop_last:
            order = order[: len(order) // self.batch_size * self.batch_size]
        stretch = self.batch_size * self.mega_batches
        for start in range(0, len(order), stretch):
            part = order[start : start + stretch]
            # Sorted longest first, so that an incomplete batch at the end holds short texts.
            part[:] = part[np.argsort(-self._lengths[part], kind="stable")]
        return order

    def _batch_order(self, rows: int, rng: np.random.Generator) -> np.ndarray:
        """Return the shuffled batch numbers, an incomplete batch last; as many as `__len__` gives."""
        full, rest = divmod(rows, self.batch_size)
        if not full:
            return np.zeros(self._count, dtype=np.int64)
        order = np.resize(rng.permutation(full), self._count - bool(rest))
        return np.append(order, full) if rest else order

    def _count_batches(self, rows: int) -> int:
        full, rest = divmod(rows, self.batch_size)
        world = world_size()
        if not self.drop_last:
            return -(-(full + bool(rest)) // world) * world
        count = full // world * world
        if rows and not count:
            raise InputError(
                f"{rows} rows give {full} batches of {self.batch_size} for {world} processes; drop_last leaves no "
                f"batch",
                "use a smaller batch_size or set dataloader_drop_last to False",
                field="batch_size",
            )
        return count
