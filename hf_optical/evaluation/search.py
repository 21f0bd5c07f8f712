"""Exact nearest-neighbour search in chunks, for dense vectors and for late interaction (MaxSim, entropic transport).

The order is fixed: by score, largest first, then by index, smallest first. Memory is bounded by one block of scores and
the ``(queries, k)`` result, whatever the size of the corpus, which may be memory-mapped. Two identical documents in
different chunks can differ in the last bit of a float32 score, because matrix products of different shapes add in
different orders; ties are exact within one chunk.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch

from hf_optical.encoders.token_vectors import TokenVectors
from hf_optical.errors import InputError
from hf_optical.evaluation.token_scoring import TokenScoring

Similarity = Literal["cosine", "dot"]

_QUERY_CHUNK = 512
_MAXSIM_QUERY_CHUNK = 32  # small, so that queries of one block have similar lengths
# numbers per block of token similarities and padded operands: 24 MB, near the size of CPU caches
_MAXSIM_ELEMENTS = 6_000_000


def search_dense(
    query_vectors: np.ndarray,
    document_vectors: np.ndarray,
    k: int,
    chunk_size: int = 16_384,
    *,
    similarity: Similarity = "cosine",
) -> tuple[np.ndarray, np.ndarray]:
    """Find the ``k`` best documents of each query by brute force.

    Args:
        query_vectors: Shape ``(queries, dimension)``.
        document_vectors: Shape ``(documents, dimension)``; any float type, may be memory-mapped.
        k: Number of documents to return per query; all if there are fewer.
        chunk_size: Documents scored at once.
        similarity: ``"cosine"`` or ``"dot"``.

    Returns:
        ``(scores, indices)``: float32 and int64, both of shape ``(queries, min(k, documents))``.

    Raises:
        InputError: If ``k`` is not positive or the dimensions differ.

    Example:
        >>> scores, indices = search_dense(np.eye(2), np.array([[1.0, 1.0], [0.0, 2.0]]), k=1)
        >>> indices.tolist()
        [[0], [1]]
    """
    _check(k, query_vectors.shape[1], document_vectors.shape[1])
    queries = _as_rows(query_vectors, similarity)
    best = _Best(len(queries), len(document_vectors), k)
    for start in range(0, len(document_vectors), chunk_size):
        documents = _as_rows(document_vectors[start : start + chunk_size], similarity)
        indices = torch.arange(start, start + len(documents))
        for first in range(0, len(queries), _QUERY_CHUNK):
            rows = slice(first, first + _QUERY_CHUNK)
            best.update(rows, queries[rows] @ documents.T, indices)
    return best.result()


def search_multi_vector(
    query_token_lists: Sequence[np.ndarray] | TokenVectors,
    document_token_lists: Sequence[np.ndarray] | TokenVectors,
    k: int,
    chunk_size: int = 2_048,
    *,
    scoring: TokenScoring | None = None,
    max_elements: int = _MAXSIM_ELEMENTS,
) -> tuple[np.ndarray, np.ndarray]:
    """Find the ``k`` best documents of each query token by token.

    The score is MaxSim, ``sum_i max_j <q_i, d_j>`` (Khattab and Zaharia, 2020), or the one given by ``scoring``.

    Token vectors are used as they are; normalise them beforehand for cosine. Documents are scored in groups of similar
    length, so that little padding is needed.

    Args:
        query_token_lists: One array ``(tokens_i, dimension)`` per query.
        document_token_lists: One array ``(tokens_j, dimension)`` per document, or :class:`TokenVectors`.
        k: Number of documents to return per query; all if there are fewer.
        chunk_size: Documents scored at once.
        scoring: Another score than MaxSim, for the language of the queries.
        max_elements: Budget of one block of token similarities with its padded operands, in numbers.

    Returns:
        ``(scores, indices)``: float32 and int64, both of shape ``(queries, min(k, documents))``.

    Raises:
        InputError: If ``k`` is not positive or the dimensions differ.

    Example:
        >>> documents = [np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[1.0, 0.0]])]
        >>> scores, indices = search_multi_vector([np.array([[0.0, 1.0], [1.0, 0.0]])], documents, k=2)
        >>> indices.tolist(), scores.tolist()
        ([[0, 1]], [[2.0, 1.0]])
    """
    _check(k, _width(query_token_lists), _width(document_token_lists))
    query_order, document_order = _by_length(query_token_lists), _by_length(document_token_lists)
    queries = [_as_tensor(query_token_lists[int(index)]) for index in query_order]
    best = _Best(len(queries), len(document_order), k)
    scoring = scoring or TokenScoring()
    for start in range(0, len(document_order), chunk_size):
        chunk = document_order[start : start + chunk_size]
        documents = [_as_tensor(document_token_lists[int(index)]) for index in chunk]
        # Indices ascend within a block of scores; the tie rule of `_top` relies on it.
        ascending = np.argsort(chunk)
        indices, columns = torch.from_numpy(chunk[ascending]), torch.from_numpy(ascending)
        for first in range(0, len(queries), _MAXSIM_QUERY_CHUNK):
            rows = slice(first, first + _MAXSIM_QUERY_CHUNK)
            block = scoring.scores(queries[rows], documents, max_elements)
            best.update(rows, block[:, columns], indices)
    scores, found = best.result()
    back = np.argsort(query_order)
    return scores[back], found[back]


class _Best:
    """The best ``k`` (score, index) pairs of every query so far, in the fixed order."""

    def __init__(self, queries: int, documents: int, k: int) -> None:
        self.queries, self.k = queries, min(k, documents)
        self.rows: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def update(self, rows: slice, scores: torch.Tensor, indices: torch.Tensor) -> None:
        """Merge a block of scores ``(rows, documents)`` of the documents ``indices`` (ascending)."""
        top_scores, positions = _top(scores, self.k)
        top_indices = indices[positions]
        if rows.start in self.rows:
            kept_scores, kept_indices = self.rows[rows.start]
            top_scores = torch.cat([kept_scores, top_scores], dim=1)
            top_indices = torch.cat([kept_indices, top_indices], dim=1)
            top_indices, order = top_indices.sort(dim=1)
            top_scores, order = top_scores.gather(1, order).sort(dim=1, descending=True, stable=True)
            top_scores, top_indices = top_scores[:, : self.k], top_indices.gather(1, order)[:, : self.k]
        self.rows[rows.start] = (top_scores, top_indices)

    def result(self) -> tuple[np.ndarray, np.ndarray]:
        """Return all queries' scores and indices as arrays."""
        if not self.rows:
            return np.zeros((self.queries, self.k), np.float32), np.zeros((self.queries, self.k), np.int64)
        blocks = [self.rows[start] for start in sorted(self.rows)]
        return (
            torch.cat([scores for scores, _ in blocks]).numpy(),
            torch.cat([indices for _, indices in blocks]).numpy(),
        )


def _top(scores: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the ``k`` largest per row, ties by smallest position; ``torch.topk`` alone picks ties arbitrarily."""
    if k < scores.shape[1]:
        threshold = scores.topk(k, dim=1, sorted=True).values[:, -1:]
        above = scores > threshold
        level = scores == threshold
        wanted = k - above.sum(dim=1, keepdim=True)
        keep = above | (level & (level.cumsum(dim=1) <= wanted))
        positions = keep.nonzero()[:, 1].view(len(scores), k)
        scores = scores.gather(1, positions)
    else:
        positions = torch.arange(scores.shape[1]).expand_as(scores)
    scores, order = scores.sort(dim=1, descending=True, stable=True)
    return scores, positions.gather(1, order)


def _by_length(tokens: Sequence[np.ndarray] | TokenVectors) -> np.ndarray:
    lengths = tokens.lengths if isinstance(tokens, TokenVectors) else np.array([len(rows) for rows in tokens])
    return np.argsort(-lengths.astype(np.int64), kind="stable")


def _as_tensor(array: np.ndarray) -> torch.Tensor:
    # Copied, because memory-mapped arrays are read-only and float16 vectors are multiplied in float32.
    return torch.from_numpy(np.array(array, dtype=np.float32))


def _as_rows(array: np.ndarray, similarity: Similarity) -> torch.Tensor:
    rows = _as_tensor(array)
    return torch.nn.functional.normalize(rows, dim=1) if similarity == "cosine" else rows


def _width(tokens: Sequence[np.ndarray] | TokenVectors) -> int | None:
    return int(tokens[0].shape[1]) if len(tokens) else None


def _check(k: int, query_width: int | None, document_width: int | None) -> None:
    if k < 1:
        raise InputError(f"k is {k}", "ask for at least one document per query")
    if None not in (query_width, document_width) and query_width != document_width:
        raise InputError(
            f"the queries have {query_width} dimensions and the documents {document_width}",
            "encode both with models of one space",
        )
