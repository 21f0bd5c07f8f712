"""Collect the texts that a student reads in training from the training sets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from datasets import Dataset

from hf_optical.batching.texts import text_columns
from hf_optical.data.kinds import kind_of
from hf_optical.errors import InputError

_ROWS_PER_READ = 1_000


def trained_texts(data: Any, *, english: bool) -> Iterator[str]:
    """Return every text that the student reads in training, in no particular order.

    Args:
        data: A `datasets.Dataset` of bitext, or a dict of data sets whose keys name their kinds.
        english: Whether the student also reads the English of bitext (the terms ``source`` and ``self_nce``).

    Raises:
        InputError: There is no data, or it is a stream, whose texts are unknown before it is read.

    Example:
        >>> rows = Dataset.from_dict({"source": ["the goat"], "translation": ["mbuzi"]})
        >>> list(trained_texts(rows, english=False))
        ['mbuzi']
    """
    for name, rows in data.items() if isinstance(data, dict) else [("bitext", data)]:
        if not isinstance(rows, Dataset):
            raise InputError(
                "the rows that are used must be known before training, but the data set is missing or a stream",
                "use a Dataset, or train_embeddings='all'",
                path=str(name),
                field="train_embeddings",
            )
        for column in text_columns(rows):
            if kind_of(name) == "bitext" and column == "source" and not english:
                continue
            for batch in rows.select_columns([column]).iter(batch_size=_ROWS_PER_READ):
                yield from batch[column]
