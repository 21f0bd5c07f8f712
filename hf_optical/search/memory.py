"""Exact index in memory for up to some hundred thousand documents, which needs no further package or server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from hf_optical.encoders.encoding import Vectors
from hf_optical.evaluation.search import search_dense, search_multi_vector
from hf_optical.search.hit import Hit
from hf_optical.search.index import DocumentIndex

if TYPE_CHECKING:
    from hf_optical.encoders.token_vectors import TokenVectors


class MemoryIndex(DocumentIndex):
    """Exact search over vectors in memory, by the model's similarity: cosine, inner product or MaxSim.

    Of documents with equal scores the one added first comes first.

    Args:
        documents: As in :class:`~hf_optical.search.index.DocumentIndex`.
        queries: As in :class:`~hf_optical.search.index.DocumentIndex`.
        options: ``interaction``, ``batch_size`` and ``cache``, as in :class:`~hf_optical.search.index.DocumentIndex`.

    Example:
        .. code-block:: python

            index = MemoryIndex(teacher, {"swh_Latn": swahili, "eng_Latn": teacher})
            index.add(["a", "b"], ["The goat sleeps under the tree.", "Rain is expected."])
            index.query(["mbuzi analala wapi?"], languages="sw", top_k=1)
    """

    def __init__(self, documents: Any = None, queries: Any = None, **options: Any) -> None:
        super().__init__(documents, queries, **options)
        self._rows: dict[str, int] = {}
        self._kept: list[str] = []
        self._vectors: list[np.ndarray] = []
        self._matrix: np.ndarray | None = None
        self._texts: list[str | None] = []

    def query_vectors(self, vectors: Vectors, *, top_k: int = 10) -> list[list[Hit]]:
        """See :meth:`~hf_optical.search.index.DocumentIndex.query_vectors`."""
        if not len(self):
            return [[] for _ in range(len(vectors))]
        if self.interaction == "maxsim":
            scores, rows = search_multi_vector(cast("TokenVectors", vectors), self._vectors, top_k)
        else:
            if self._matrix is None:
                self._matrix = np.stack(self._vectors)
            scores, rows = search_dense(np.asarray(vectors), self._matrix, top_k, similarity=self.similarity)
        ids = list(self._rows)
        return [
            [Hit(ids[row], float(score)) for row, score in zip(found, line, strict=True)]
            for found, line in zip(rows, scores, strict=True)
        ]

    def texts(self, ids: Sequence[str] | None = None) -> dict[str, str | None]:
        """See :meth:`~hf_optical.search.index.DocumentIndex.texts`."""
        names = self._rows if ids is None else [name for name in ids if name in self._rows]
        return {name: self._texts[self._rows[name]] for name in names}

    def __len__(self) -> int:
        return len(self._rows)

    def _digests(self, ids: Sequence[str]) -> list[str | None]:
        return [self._kept[self._rows[name]] if name in self._rows else None for name in ids]

    def _store(
        self,
        ids: Sequence[str],
        digests: Sequence[str],
        vectors: Sequence[np.ndarray],
        texts: Sequence[str | None],
    ) -> None:
        self._matrix = None
        for name, digest, vector, text in zip(ids, digests, vectors, texts, strict=True):
            row = self._rows.setdefault(name, len(self._rows))
            if row == len(self._vectors):
                self._vectors.append(vector)
                self._kept.append(digest)
                self._texts.append(text)
            else:
                self._vectors[row], self._kept[row], self._texts[row] = vector, digest, text

    def _remove(self, ids: Sequence[str]) -> None:
        self._matrix = None
        gone = set(ids)
        kept = [(name, row) for name, row in self._rows.items() if name not in gone]
        self._vectors = [self._vectors[row] for _, row in kept]
        self._kept = [self._kept[row] for _, row in kept]
        self._texts = [self._texts[row] for _, row in kept]
        self._rows = {name: place for place, (name, _) in enumerate(kept)}
