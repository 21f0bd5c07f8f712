"""Translation counts between vocabulary pieces, from sentence pairs, by two agreeing lexical models (IBM-1)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array, csr_array

from hf_optical.errors import InputError

Pieces = Sequence[int] | np.ndarray

_BLOCK = 200_000  # cells processed at a time, which fit into a CPU cache
_PART = 4_000_000  # cells summed at a time
_LEAST_COUNT = 1e-4  # smaller expected counts are dropped: there are many, and they do not influence embedding rows
_TINY = np.float32(1e-30)


@dataclass(frozen=True)
class _Cells:
    """All (source piece, target piece) cells of all pairs, including the empty piece, as indices of distinct couples.

    Attributes:
        sources: Source piece of each couple, ``(couples,)``; the empty piece has the number after the last piece.
        targets: Target piece of each couple, likewise.
        couple: Couple of each cell, ``(cells,)``, block after block; the number of couples marks padding.
        blocks: Shape of each block: pairs, length of the longest source, length of the longest target.
    """

    sources: np.ndarray
    targets: np.ndarray
    couple: np.ndarray
    blocks: list[tuple[int, int, int]]

    def posterior(self, table: np.ndarray, axis: int) -> np.ndarray:
        """Return ``table`` at each cell, ``(cells,)``, normalised over the cells of the same pair along ``axis``."""
        cells, start = table[self.couple], 0
        for shape in self.blocks:
            block = cells[start : start + np.prod(shape)].reshape(shape)
            block /= np.maximum(block.sum(axis + 1, keepdims=True), _TINY)
            start += block.size
        return cells

    def total(self, cells: np.ndarray) -> np.ndarray:
        """Return the sum over the cells of each couple, ``(couples,)``."""
        sums = np.zeros(len(self.sources) + 1)
        # The cells are summed in parts, because bincount copies indices and weights with 64 bits each.
        for start in range(0, len(cells), _PART):
            part = slice(start, start + _PART)
            sums += np.bincount(self.couple[part], cells[part], len(sums))
        return sums[:-1]


def alignment_counts(
    source_ids: Sequence[Pieces],
    target_ids: Sequence[Pieces],
    shape: tuple[int, int],
    iterations: int = 4,
) -> csr_array:
    """Compute the expected number of alignments of each source piece with each target piece.

    IBM Model 1 (Brown et al. 1993, https://aclanthology.org/J93-2003/, section 4.1) is estimated by EM in both
    directions, each with an empty piece. The counts are sums of products of the two models' posteriors, so that only
    alignments on which both agree count (Liang et al. 2006, https://aclanthology.org/N06-1014/). Frequent words and
    rare "garbage collectors" are thereby not counted as translations of each other. A sentence is treated as the set
    of its pieces.

    Args:
        source_ids: Pieces of each source sentence, numbers below ``shape[0]``, without special tokens.
        target_ids: Pieces of each translation, numbers below ``shape[1]``.
        shape: Sizes of the two vocabularies.
        iterations: Rounds of EM, at least 1.

    Returns:
        Sparse float64 counts of this shape. A row divided by its sum has the probability of each translation.

    Raises:
        InputError: The two sides have different numbers of sentences, a piece is out of range, or ``iterations`` is
            below 1.

    Example:
        >>> counts = alignment_counts([[0, 1], [0, 2], [1, 2]], [[5, 6], [5, 7], [6, 7]], (3, 8), iterations=9)
        >>> counts.argmax(axis=1).tolist()
        [5, 6, 7]
    """
    if len(source_ids) != len(target_ids):
        raise InputError(
            f"there are {len(source_ids)} source sentences and {len(target_ids)} translations",
            "give one translation per sentence",
        )
    if iterations < 1:
        raise InputError(f"iterations is {iterations}", "give at least 1", field="iterations")
    sides = [
        _bags(rows, size, name)
        for rows, size, name in zip((source_ids, target_ids), shape, ("source_ids", "target_ids"), strict=True)
    ]
    if not len(source_ids):
        return csr_array(shape, dtype=np.float64)
    cells = _cells(sides[0], sides[1], shape)
    # One model generates targets from sources, with posteriors normalised over axis 0, and the other one sources from
    # targets. The empty piece is never generated.
    given = (cells.sources, cells.targets)
    tables = [
        np.append(cells.targets < shape[1], False).astype(np.float32),
        np.append(cells.sources < shape[0], False).astype(np.float32),
    ]
    for _ in range(iterations):
        for axis, table in enumerate(tables):
            counts = cells.total(cells.posterior(table, axis))
            table[:-1] = counts / np.maximum(np.bincount(given[axis], counts), _TINY)[given[axis]]
    both = cells.posterior(tables[0], 0)
    both *= cells.posterior(tables[1], 1)
    agreed = cells.total(both)
    kept = (cells.sources < shape[0]) & (cells.targets < shape[1]) & (agreed > _LEAST_COUNT)
    return csr_array(coo_array((agreed[kept], (cells.sources[kept], cells.targets[kept])), shape=shape))


def _bags(rows: Sequence[Pieces], size: int, name: str) -> list[np.ndarray]:
    """Return each sentence as the sorted set of its pieces, followed by the empty piece."""
    bags = [np.unique(np.asarray(row, dtype=np.int64)) for row in rows]
    for number, bag in enumerate(bags, start=1):
        if len(bag) and not 0 <= bag[0] <= bag[-1] < size:
            raise InputError(
                f"found piece {bag[0] if bag[0] < 0 else bag[-1]}, and the vocabulary has {size}",
                "give the ids of this vocabulary",
                row=number,
                field=name,
            )
    return [np.append(bag, size) for bag in bags]


def _cells(sources: list[np.ndarray], targets: list[np.ndarray], shape: tuple[int, int]) -> _Cells:
    """Number the couples of pieces that occur, and find the couple of every cell."""
    width = shape[1] + 1
    # The sparse product gives the couples that occur without a list of all cells.
    occur = csr_array(_incidence(sources, shape[0] + 1).T @ _incidence(targets, width))
    occur.sort_indices()
    first = np.repeat(np.arange(shape[0] + 1), np.diff(occur.indptr))
    keys = first * width + occur.indices
    couples, blocks = [], []
    for pairs in _grouped([len(bag) for bag in sources], [len(bag) for bag in targets]):
        left, right = (_padded([bags[i] for i in pairs]) for bags in (sources, targets))
        wanted = np.where((left < 0)[:, :, None] | (right < 0)[:, None], -1, left[:, :, None] * width + right[:, None])
        found = np.searchsorted(keys, wanted.ravel()).astype(np.int32)
        found[wanted.ravel() < 0] = len(keys)
        couples.append(found)
        blocks.append((len(pairs), left.shape[1], right.shape[1]))
    return _Cells(first, occur.indices, np.concatenate(couples), blocks)


def _incidence(bags: list[np.ndarray], columns: int) -> csr_array:
    """Return the matrix (sentences, pieces) with ones where a sentence has a piece."""
    ends = np.cumsum([0, *(len(bag) for bag in bags)])
    return csr_array((np.ones(ends[-1], dtype=np.int32), np.concatenate(bags), ends), shape=(len(bags), columns))


def _grouped(left: list[int], right: list[int]) -> Iterable[list[int]]:
    """Yield pairs of similar lengths in groups of at most `_BLOCK` cells, including padding."""
    group: list[int] = []
    longest = 0
    for i in np.lexsort((right, left)).tolist():
        # Pairs are ordered by the left length, so that pair i has the longest left side of its group.
        if group and (len(group) + 1) * left[i] * max(longest, right[i]) > _BLOCK:
            yield group
            group, longest = [], 0
        group.append(i)
        longest = max(longest, right[i])
    if group:
        yield group


def _padded(bags: list[np.ndarray]) -> np.ndarray:
    """Stack sentences as rows, padded with -1."""
    padded = np.full((len(bags), max(map(len, bags))), -1, dtype=np.int64)
    for row, bag in zip(padded, bags, strict=True):
        row[: len(bag)] = bag
    return padded
