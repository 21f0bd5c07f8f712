"""Sample of the rows of an index, drawn in one pass over blocks of any number of rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hf_optical.errors import InputError

IndexRows = Iterable[tuple[Sequence[str], np.ndarray]]
"""Blocks of the index's documents, n texts and their vectors ``(n, d)``, such as
:class:`~hf_optical.data.vector_rows.VectorRows`."""
MOST_ROWS = 10_000
"""Number of rows on which a map is fitted at most; the student encodes the text of each, some minutes on a CPU."""


@dataclass(frozen=True)
class IndexSample:
    """Rows drawn from an index, in the order of the index.

    Attributes:
        texts: Texts of the n rows that were drawn.
        vectors: Their vectors, scaled to length 1, ``(n, d)``.
        total: Number of rows of the index.
    """

    texts: list[str]
    vectors: Tensor
    total: int

    def sentence(self) -> str:
        """Say how many rows of how many were drawn."""
        return said(len(self.texts), self.total)


def said(rows: int, total: int) -> str:
    """Say how many rows of an index were used.

    Example:
        >>> said(1_248, 1_248), said(10_000, 2_500_000)
        ('1,248 rows of the index', '10,000 of 2,500,000 rows of the index')
    """
    return f"{rows:,} rows of the index" if rows == total else f"{rows:,} of {total:,} rows of the index"


def index_sample(index: IndexRows, seed: int, most: int = MOST_ROWS) -> IndexSample:
    """Draw rows of an index without replacement, each with the same probability, in one pass.

    An index is often in the order in which its documents came, source by source, so that its first rows are of a few
    subjects. The number of rows need not be known, and the memory is that of the sample and one block.

    Args:
        index: Blocks of the index's rows, which are read once, to the end.
        seed: Random seed of the sample.
        most: Largest number of rows to draw; an index with no more is taken whole.

    Returns:
        The sample.

    Raises:
        InputError: The index has no rows.

    References:
        - Vitter: Random Sampling with a Reservoir, ACM Transactions on Mathematical Software 11 (1985), algorithm R.

    Example:
        >>> blocks = [(["a", "b"], np.eye(2)), (["c"], np.ones((1, 2)))]
        >>> index_sample(blocks, seed=0).texts, index_sample(blocks, seed=0, most=2).total
        (['a', 'b', 'c'], 3)
    """
    generator = np.random.default_rng(seed)
    kept: dict[int, tuple[int, str, np.ndarray]] = {}
    total = 0
    for texts, vectors in index:
        rows = np.arange(total, total + len(texts))
        # Row t takes one of t + 1 places, of which only the first ones are in the sample.
        places = np.where(rows < most, rows, generator.integers(0, rows + 1))
        for at in np.flatnonzero(places < most).tolist():
            kept[int(places[at])] = (int(rows[at]), texts[at], np.array(vectors[at], dtype=np.float32))
        total += len(texts)
    if not kept:
        raise InputError("the index has no rows", "give an index with documents", field="index_rows")
    drawn = sorted(kept.values(), key=lambda row: row[0])
    units = functional.normalize(torch.from_numpy(np.stack([vector for _, _, vector in drawn])), dim=-1)
    return IndexSample([text for _, text, _ in drawn], units, total)
