"""Batch sampler of the hybrid policy: monolingual, cross-lingual and bitext batches."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sentence_transformers.base.sampler import MultiDatasetDefaultBatchSampler
from torch.utils.data import BatchSampler, ConcatDataset

from hf_optical.batching.conflicts import ConflictIndex
from hf_optical.batching.epochs import EpochRelay, epoch_rng, world_size
from hf_optical.batching.policy import KINDS, HybridPolicy, split_name
from hf_optical.batching.streams import Batch, RowStream
from hf_optical.batching.texts import id_hashes, text_columns, text_hashes
from hf_optical.errors import InputError

logger = logging.getLogger(__name__)

_ATTEMPTS = 10


@dataclass(frozen=True)
class _Source:
    """One dataset: its kind, language and rows within the concatenation."""

    name: str
    kind: str
    first: int
    rows: int


class HybridBatchSampler(MultiDatasetDefaultBatchSampler):
    """Sampler that draws the kind of each batch, its language or pair, and its rows according to a `HybridPolicy`.

    Every batch obeys these rules: no two rows share an underlying id (nor, by default, a text); a monolingual batch has
    one language and a bitext batch one language pair; a cross-lingual batch mixes language pairs, drawn row by row, and
    no pair has equal languages.

    The number of batches in an epoch is the number of rows in all datasets divided by the batch size, rounded down to a
    multiple of the number of processes. Each dataset is drawn without replacement until exhausted, then reshuffled.
    Order and content depend on the seed and the epoch alone, and every process draws the same: accelerate gives whole
    batches to the processes in turn, so the shares hold globally.

    All datasets of the cross-lingual kind need the same columns, loss and prompts, because a batch of several datasets
    is handled like a batch of the first row's dataset.

    The method is hybrid batch training (arXiv 2408.10536), with the rules against language bias of LAReQA (arXiv
    2004.05484).

    Args:
        dataset: The trainer's datasets, concatenated.
        batch_samplers: The trainer's sampler of each dataset; only its batch size is used.
        generator: Unused, but part of the signature that sentence-transformers calls; the order depends on seed and
            epoch.
        seed: Seed of the order.
        policy: The policy; `HybridPolicy()` by default.

    Raises:
        InputError: Names, ids or columns do not fit the datasets, a kind with a positive share has no dataset, or a
            dataset has too few compatible rows to fill a batch.

    Example:
        >>> from datasets import Dataset
        >>> def rows(language):
        ...     return Dataset.from_dict({"query": [f"{language} q{i}" for i in range(8)],
        ...                               "passage": [f"{language} p{i}" for i in range(8)]})
        >>> names = ["mono/eng_Latn", "mono/swh_Latn", "cross/eng_Latn-swh_Latn"]
        >>> policy = HybridBatchSampler.with_policy(names=names, alpha=0.5, ids={name: range(8) for name in names})
        >>> train = [rows(name) for name in names]
        >>> sampler = policy(ConcatDataset(train), [BatchSampler(d, 4, False) for d in train])
        >>> len(sampler), {len({row % 8 for row in batch}) for batch in sampler}
        (6, {4})
    """

    def __init__(
        self,
        dataset: ConcatDataset,
        batch_samplers: list[BatchSampler],
        generator: torch.Generator | None = None,
        seed: int = 0,
        *,
        policy: HybridPolicy | None = None,
    ) -> None:
        super().__init__(dataset, batch_samplers=batch_samplers, generator=generator, seed=seed)
        self.policy = policy or HybridPolicy()
        names = _names(dataset.datasets, self.policy.names)
        firsts = [0, *dataset.cumulative_sizes]
        self._sources = [
            _Source(name, split_name(name)[0], first, after - first)
            for name, first, after in zip(names, firsts[:-1], firsts[1:], strict=True)
        ]
        self._of_kind = {kind: [i for i, source in enumerate(self._sources) if source.kind == kind] for kind in KINDS}
        self._shares = self.policy.shares()
        self._check_sources(dataset.datasets)
        self._weights = {
            kind: self.policy.weights([self._sources[i].rows for i in members])
            for kind, members in self._of_kind.items()
            if members
        }
        self._conflicts = ConflictIndex(_keys(dataset.datasets, self._sources, self.policy))
        self._counts: dict[int, np.ndarray] = {}
        self._world = world_size()
        self._count = firsts[-1] // self.batch_size // self._world * self._world
        if not self._count:
            raise InputError(
                f"{firsts[-1]} rows do not fill a batch of {self.batch_size} on each of {self._world} processes",
                "use a smaller batch_size",
                field="batch_size",
            )
        self._check_feasible()
        EpochRelay.attach(dataset, self)

    @classmethod
    def with_policy(cls, **options: Any) -> HybridPolicy:
        """Make the argument ``multi_dataset_batch_sampler=`` of a stock trainer.

        Args:
            options: The options of `HybridPolicy`.
        """
        return HybridPolicy(**options)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[list[int]]:
        epoch = self.epoch
        rng = epoch_rng(self.seed, epoch)
        streams = self._streams(rng)
        # Batches by kind, then rows by dataset.
        counts = self._counts[epoch] = np.zeros(len(KINDS) + len(self._sources), dtype=np.int64)
        together = self._world if self.policy.gathered else 1
        try:
            for drawn in range(0, self._count // together * together, together):
                shares = self.policy.shares(epoch * self._count + drawn)
                kind = int(rng.choice(len(KINDS), p=shares))
                rows = np.array(self._fill(KINDS[kind], self.batch_size * together, streams, rng))
                for batch in rng.permutation(rows).reshape(together, self.batch_size):
                    counts[kind] += 1
                    counts[len(KINDS) :] += self._rows_by_source(batch)
                    yield batch.tolist()
        finally:
            # Also runs when training stops in mid-epoch and the Trainer drops the iterator.
            if not sys.is_finalizing():
                logger.info("Epoch %d, realised: %s", epoch, self.realised(epoch))

    def realised(self, epoch: int | None = None) -> dict[str, Any]:
        """Count the batches drawn so far, over all processes, by kind and data set.

        The dataloader reads a batch or two ahead, and a resumed epoch counts from its start. Epochs before the resumed
        one are not included.

        Args:
            epoch: One epoch, counted from 0; by default all epochs that this process has drawn.

        Returns:
            ``batches``: their number by kind; ``rows``: their number by dataset; ``alpha``: the share of monolingual
            batches among those that are not bitext (None if there are none); ``bitext_share``; ``epochs``: the epochs
            included. Ready for JSON.
        """
        epochs = sorted(self._counts) if epoch is None else [epoch]
        counts = sum((self._counts[e] for e in epochs), np.zeros(len(KINDS) + len(self._sources), np.int64)).tolist()
        mono, cross, bitext = counts[: len(KINDS)]
        names = [source.name for source in self._sources]
        return {
            "batches": {"mono": mono, "cross": cross, "bitext": bitext},
            "rows": dict(zip(names, counts[len(KINDS) :], strict=True)),
            "alpha": mono / (mono + cross) if mono + cross else None,
            "bitext_share": bitext / (mono + cross + bitext) if mono + cross + bitext else None,
            "epochs": epochs,
        }

    def _streams(self, rng: np.random.Generator) -> list[RowStream]:
        # Each dataset has its own generator, so that draws from one do not change the order of the others.
        return [
            RowStream(s.first, s.rows, child)
            for s, child in zip(self._sources, rng.spawn(len(self._sources)), strict=True)
        ]

    def _fill(self, kind: str, size: int, streams: list[RowStream], rng: np.random.Generator) -> list[int]:
        """Draw ``size`` compatible rows of one kind."""
        members, weights = self._of_kind[kind], self._weights[kind]
        drawn = rng.choice(len(members), p=weights)
        # Rows with several keys may block each other in one order but not in another, so several orders are tried.
        for _ in range(_ATTEMPTS):
            batch = Batch(self._conflicts)
            picks = rng.choice(len(members), size=size, p=weights) if kind == "cross" else np.full(size, drawn)
            if all(self._draw_row(kind, pick, batch, streams, rng) for pick in picks.tolist()):
                return batch.rows
            for member in members:
                streams[member].reset()
        name = self._sources[members[drawn]].name if kind != "cross" else "cross/*"
        raise InputError(
            f"no {size} rows of {name} can be put into one batch: too many share an id or a text",
            "use a smaller batch_size, remove repeated rows, or set no_duplicates=False to compare ids only",
            field="batch_size",
        )

    def _draw_row(self, kind: str, pick: int, batch: Batch, streams: list[RowStream], rng: np.random.Generator) -> bool:
        """Add a row of the chosen dataset, or of another pair of a cross-lingual batch if it has no suitable row."""
        members = self._of_kind[kind]
        row = streams[members[pick]].take(batch)
        if row is None and kind == "cross":
            others = (streams[members[other]].take(batch) for other in rng.permutation(len(members)) if other != pick)
            row = next((other for other in others if other is not None), None)
        if row is None:
            return False
        batch.add(row)
        return True

    def _rows_by_source(self, batch: np.ndarray) -> np.ndarray:
        firsts = [source.first for source in self._sources]
        return np.bincount(np.searchsorted(firsts, batch, side="right") - 1, minlength=len(firsts))

    def _check_sources(self, datasets: Sequence[Any]) -> None:
        self.policy.check_kinds([kind for kind, members in self._of_kind.items() if members])
        for share, kind in zip(self._shares, KINDS, strict=True):
            if self._of_kind[kind] and not share:
                logger.warning("The policy draws no %s batches, so these datasets are not used in training.", kind)
        columns = {tuple(datasets[i].column_names) for i in self._of_kind["cross"]}
        if len(columns) > 1:
            raise InputError(
                f"the cross-lingual datasets have different columns: {sorted(columns)}",
                "give them the same columns in the same order, since a batch mixes their rows",
            )
        for source in self._sources:
            if not source.rows:
                raise InputError(f"the dataset {source.name} is empty", "leave it out")

    def _check_feasible(self) -> None:
        """Fill one batch of every language before training, rather than fail in the middle of it."""
        rng = epoch_rng(self.seed, 0)
        size = self.batch_size * (self._world if self.policy.gathered else 1)
        for share, kind in zip(self._shares, KINDS, strict=True):
            if share:
                weights = self._weights[kind]
                for one in range(len(weights)) if kind != "cross" else ():
                    self._weights[kind] = np.eye(len(weights))[one]
                    self._fill(kind, size, self._streams(rng), rng)
                self._weights[kind] = weights
                self._fill(kind, size, self._streams(rng), rng)


def _names(datasets: Sequence[Any], given: Sequence[str] | None) -> list[str]:
    """Return the names of the datasets: those given and those set by sentence-transformers, which must agree."""
    marks = [getattr(dataset.format["format_kwargs"].get("transform"), "keywords", {}) for dataset in datasets]
    marked = [mark.get("dataset_name") for mark in marks]
    names = list(given) if given is not None else [mark for mark in marked if mark is not None]
    if given is None and not names:
        raise InputError("the datasets have no names", "give the policy names=list(train_dataset)", field="names")
    if len(names) != len(datasets):
        raise InputError(
            f"{len(names)} names for {len(datasets)} datasets", "give names=list(train_dataset)", field="names"
        )
    for name, mark in zip(names, marked, strict=True):
        if mark not in (None, name):
            raise InputError(
                f"the dataset {mark!r} is named {name!r}", "give names=list(train_dataset), in order", field="names"
            )
    return names


def _keys(datasets: Sequence[Any], sources: Sequence[_Source], policy: HybridPolicy) -> list[np.ndarray]:
    """Compute the keys of each dataset's rows, shape ``(rows, keys)``: hashes of the ids and of the texts."""
    ids = policy.ids or {}
    unknown = set(ids) - {source.name for source in sources}
    if unknown:
        raise InputError(f"ids are given for unknown datasets: {sorted(unknown)}", "remove or rename them", field="ids")
    with_ids = {source.kind for source in sources if source.name in ids}
    keys = []
    for dataset, source in zip(datasets, sources, strict=True):
        parts = [np.empty((source.rows, 0), dtype=np.uint64)]
        if source.name in ids:
            if len(ids[source.name]) != source.rows:
                raise InputError(
                    f"{len(ids[source.name])} ids for the {source.rows} rows of {source.name}",
                    "give one id for each row",
                    field="ids",
                )
            parts.append(id_hashes(ids[source.name]))
        elif source.kind in with_ids:
            raise InputError(
                f"ids are given for some {source.kind} datasets but not for {source.name}", "give all", field="ids"
            )
        if policy.no_duplicates or source.kind not in with_ids:
            parts.append(text_hashes(dataset, text_columns(dataset)))
        keys.append(np.concatenate(parts, axis=1))
    return keys
