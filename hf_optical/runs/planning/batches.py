"""Batches of a dry run: the longest of each data set, to measure memory, and typical ones, to measure time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from datasets import Dataset
from sentence_transformers.base.sampler import MultiDatasetDefaultBatchSampler

from hf_optical.batching.texts import text_columns, text_lengths
from hf_optical.data.query_passages import QueryPassages
from hf_optical.runs.training_data import TrainingData

_BATCHES = 20  # sample from which typical batches are taken


@dataclass(frozen=True)
class Chosen:
    """Rows of one data set that a dry run reads, in batches, the longest batch first.

    Attributes:
        rows: Row numbers in the whole data set, batch after batch.
        sizes: Number of rows in each batch.
    """

    rows: list[int]
    sizes: list[int]

    def batches(self, first: int = 0) -> list[list[int]]:
        """Return the batches as row numbers that start at ``first``."""
        starts = first + np.concatenate([[0], np.cumsum(self.sizes)])
        return [list(range(start, start + size)) for start, size in zip(starts, self.sizes, strict=False)]


def choose(dataset: Dataset, batch_size: int, *, grouped: bool, seed: int) -> Chosen:
    """Choose the longest batch, then twenty random batches, sorted by length like the sampler sorts them.

    Args:
        dataset: A training set.
        batch_size: Rows per batch.
        grouped: Whether batches have similar lengths, measured on the student's side of a bitext as in training.
        seed: Random seed of the choice.

    Example:
        >>> rows = Dataset.from_dict({"source": ["b"] * 8, "translation": ["a" * n for n in range(1, 9)]})
        >>> chosen = choose(rows, 2, grouped=True, seed=0)
        >>> chosen.rows[:4], len(chosen.sizes)
        ([7, 6, 7, 6], 5)
    """
    columns = text_columns(dataset)
    lengths = text_lengths(dataset, ["translation"] if grouped and "translation" in columns else columns)
    longest = np.argsort(-lengths, kind="stable")[:batch_size]
    drawn = np.random.default_rng(seed).permutation(len(dataset))[: _BATCHES * batch_size]
    if grouped:
        drawn = drawn[np.argsort(-lengths[drawn], kind="stable")]
    cut = [drawn[start : start + batch_size] for start in range(0, len(drawn), batch_size)]
    cut = [batch for batch in cut if len(batch) == min(batch_size, len(drawn))]
    return Chosen([*map(int, longest), *(int(row) for batch in cut for row in batch)], [len(longest), *map(len, cut)])


def reduced(data: TrainingData, chosen: dict[str, Chosen]) -> TrainingData:
    """Return the data with only the chosen rows; data sets are keyed by the names of `TrainingData.sets`."""
    bitext = {code: rows for code, rows in data.bitext.items()}
    for name, picked in chosen.items():
        kind, _, languages = name.partition("/")
        if kind == "bitext":
            code = languages.partition("-")[2]
            bitext[code] = data.bitext[code].select(picked.rows)
    retrieval = {
        name: QueryPassages(pairs.rows.select(chosen[name].rows), [pairs.ids[row] for row in chosen[name].rows])
        for name, pairs in data.retrieval.items()
        if name in chosen
    }
    return replace(data, bitext=bitext, retrieval=retrieval)


class FixedBatches:
    """Sampler that returns given batches in their order, in place of the trainer's.

    Args:
        batches: Row numbers in the concatenated data sets.
    """

    def __init__(self, batches: list[list[int]]) -> None:
        self.batches = batches

    def __call__(self, dataset: Any, batch_samplers: Any, generator: Any = None, seed: int = 0) -> _Fixed:
        """Return the sampler; sentence-transformers calls this."""
        return _Fixed(dataset, batch_samplers, generator, seed, self.batches)


class _Fixed(MultiDatasetDefaultBatchSampler):
    def __init__(self, dataset: Any, batch_samplers: Any, generator: Any, seed: int, batches: list[list[int]]) -> None:
        super().__init__(dataset, batch_samplers=batch_samplers, generator=generator, seed=seed)
        self.batches = batches

    def __iter__(self) -> Iterator[list[int]]:
        yield from self.batches

    def __len__(self) -> int:
        return len(self.batches)
