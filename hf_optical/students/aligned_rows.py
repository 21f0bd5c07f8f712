"""First embedding rows from bitext: each piece begins at the teacher's rows of the English pieces it is aligned with."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from scipy.sparse import coo_array, csr_array
from torch import Tensor

logger = logging.getLogger(__name__)

_CELLS_PER_BLOCK = 1_000_000


def alignment_counts(
    source_ids: Sequence[Sequence[int]],
    target_ids: Sequence[Sequence[int]],
    shape: tuple[int, int],
    iterations: int = 4,
) -> csr_array:
    if not source_ids:
        return csr_array(shape, dtype=np.float64)
    sources, targets = _bags(source_ids), _bags(target_ids)
    width = shape[1] + 1
    keys, blocks = _cells(sources, targets, shape)
    row, column = keys // width, keys % width
    # The two models: target pieces drawn from source pieces, and the other way round. Nothing draws the empty piece.
    drawn = [(column < shape[1]), (row < shape[0])]
    given = [row, column]
    tables = [np.append(where.astype(np.float32), np.float32(0)) for where in drawn]
    for _ in range(iterations):
        counts = [np.zeros(len(keys) + 1) for _ in tables]
        for block in blocks:
            for axis, table in enumerate(tables):
                counts[axis] += np.bincount(block.ravel(), _posterior(table, block, axis), len(keys) + 1)
        for axis, table in enumerate(tables):
            totals = np.bincount(given[axis], counts[axis][:-1])
            table[:-1] = counts[axis][:-1] / np.maximum(totals[given[axis]], 1e-30)
    agreed = np.zeros(len(keys) + 1)
    for block in blocks:
        both = _posterior(tables[0], block, 0) * _posterior(tables[1], block, 1)
        agreed += np.bincount(block.ravel(), both, len(keys) + 1)
    real = drawn[0] & drawn[1] & (agreed[:-1] > 1e-4)
    return csr_array(coo_array((agreed[:-1][real], (row[real], column[real])), shape=shape))


def _posterior(table, block, axis):
    cells = table[block]
    cells /= np.maximum(cells.sum(axis + 1, keepdims=True), np.float32(1e-30))
    return cells.ravel()


def _bags(rows):
    # Model 1 knows no order: sorted pieces are looked up faster.
    return [np.unique(np.asarray(row, dtype=np.int64)) for row in rows]


def _incidence(bags, columns):
    lengths = [len(b) for b in bags]
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    return csr_array((np.ones(indptr[-1], np.int32), np.concatenate(bags), indptr), shape=(len(bags), columns))


def _cells(sources, targets, shape):
    width = shape[1] + 1
    sources = [np.append(b, shape[0]) for b in sources]
    targets = [np.append(b, shape[1]) for b in targets]
    pattern = csr_array(_incidence(sources, shape[0] + 1).T @ _incidence(targets, width))
    pattern.sort_indices()
    keys = np.repeat(np.arange(shape[0] + 1), np.diff(pattern.indptr)) * width + pattern.indices
    order = np.lexsort(([len(t) for t in targets], [len(s) for s in sources]))
    blocks = []
    start = 0
    while start < len(order):
        n = m = 0
        end = start
        while end < len(order):
            n2, m2 = max(n, len(sources[order[end]])), max(m, len(targets[order[end]]))
            if end > start and (end - start + 1) * n2 * m2 > _CELLS_PER_BLOCK:
                break
            n, m, end = n2, m2, end + 1
        blocks.append(_block([sources[i] for i in order[start:end]], [targets[i] for i in order[start:end]], (n, m), width, keys))
        start = end
    return keys, blocks


def _block(sources, targets, size, width, keys):
    n, m = size
    s = np.full((len(sources), n), -1, np.int64)
    t = np.full((len(targets), m), -1, np.int64)
    for i, b in enumerate(sources):
        s[i, : len(b)] = b
    for i, b in enumerate(targets):
        t[i, : len(b)] = b
    wanted = s[:, :, None] * width + t[:, None, :]
    found = np.searchsorted(keys, wanted.ravel()).reshape(wanted.shape).astype(np.int32)
    found[(s < 0)[:, :, None] | (t < 0)[:, None, :]] = len(keys)
    return found
