"""Index of dense vectors in FAISS, exact by default, or of any kind that FAISS can build from a description."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from hf_optical.encoders.encoding import Vectors
from hf_optical.errors import InputError, pip_install
from hf_optical.search.hit import Hit
from hf_optical.search.index import DocumentIndex, unit_rows

logger = logging.getLogger(__name__)

_FEWEST_DEAD = 1_000  # vectors of removed documents that are tolerated in any case


class FaissIndex(DocumentIndex):
    """Dense search in FAISS (extra ``index``), by the model's similarity, cosine or inner product.

    Not every kind of FAISS index can remove vectors. Vectors of changed and removed documents therefore stay in it.
    They are never returned, but cost memory and time. Once there are at least 1,000 of them, and as many as vectors of
    current documents, the index is rebuilt from its current vectors.

    Args:
        documents: As in :class:`~hf_optical.search.index.DocumentIndex`.
        queries: As in :class:`~hf_optical.search.index.DocumentIndex`.
        factory: Description of the index for FAISS's ``index_factory``: ``"Flat"`` is exact, ``"HNSW32"`` is
            approximate and faster. Indexes that need training are trained on the first documents added.
        options: ``batch_size``, as in :class:`~hf_optical.search.index.DocumentIndex`.

    Raises:
        InputError: FAISS is not installed, or the encoders are late-interaction encoders.
    """

    def __init__(self, documents: Any = None, queries: Any = None, *, factory: str = "Flat", **options: Any) -> None:
        super().__init__(documents, queries, **options)
        if self.interaction != "dense":
            raise InputError("FAISS holds one vector per document", "use MemoryIndex or QdrantIndex for MaxSim")
        try:
            import faiss
        except ImportError as error:
            raise InputError("FAISS is not installed", pip_install("index")) from error
        self._faiss, self.factory = faiss, factory
        self._index: Any = None
        # FAISS numbers its vectors: `_ids` has the id for every number, also for vectors that are no longer current,
        # and `_numbers` the number of the current vector of each id.
        self._ids: list[str] = []
        self._numbers: dict[str, int] = {}
        self._kept: dict[str, str] = {}
        self._texts: dict[str, str | None] = {}

    def query_vectors(self, vectors: Vectors, *, top_k: int = 10) -> list[list[Hit]]:
        """See :meth:`~hf_optical.search.index.DocumentIndex.query_vectors`."""
        if not len(self):
            return [[] for _ in range(len(vectors))]
        rows = self._rows(np.asarray(vectors, dtype=np.float32))
        if rows.shape[1] != self._index.d:
            raise InputError(
                f"the queries have {rows.shape[1]} dimensions and the documents {self._index.d}",
                "encode both with models of one space",
            )
        # Vectors of replaced and deleted documents are still in FAISS: request as many results more.
        replaced = self._index.ntotal - len(self._numbers)
        scores, numbers = self._index.search(rows, min(top_k + replaced, self._index.ntotal))
        found = [
            [
                Hit(self._ids[number], float(score))
                for number, score in zip(found, line, strict=True)
                if number >= 0 and self._numbers.get(self._ids[number]) == number
            ][:top_k]
            for found, line in zip(numbers.tolist(), scores, strict=True)
        ]
        wanted = min(top_k, len(self))
        if short := sum(len(hits) < wanted for hits in found):
            logger.warning(
                "asked for %d documents, and %d of %d queries found fewer: %s searches only a part of the index",
                wanted, short, len(found), self.factory,
            )  # fmt: skip
        return found

    def _rows(self, vectors: np.ndarray) -> np.ndarray:
        """Return vectors, (n, dimension), as float32 rows whose inner product is the index's similarity."""
        return unit_rows(vectors) if self.similarity == "cosine" else np.ascontiguousarray(vectors, dtype=np.float32)

    def texts(self, ids: Sequence[str] | None = None) -> dict[str, str | None]:
        """See :meth:`~hf_optical.search.index.DocumentIndex.texts`."""
        return dict(self._texts) if ids is None else {name: self._texts[name] for name in ids if name in self._texts}

    def __len__(self) -> int:
        return len(self._numbers)

    def _digests(self, ids: Sequence[str]) -> list[str | None]:
        return [self._kept.get(name) for name in ids]

    def _store(
        self,
        ids: Sequence[str],
        digests: Sequence[str],
        vectors: Sequence[np.ndarray],
        texts: Sequence[str | None],
    ) -> None:
        rows = self._rows(np.stack(vectors))
        if self._index is None:
            self._index = self._faiss.index_factory(rows.shape[1], self.factory, self._faiss.METRIC_INNER_PRODUCT)
        if rows.shape[1] != self._index.d:
            raise InputError(
                f"found vectors of {rows.shape[1]} numbers in an index of {self._index.d}",
                "encode all documents with one model",
                field="vectors",
            )
        if not self._index.is_trained:
            self._index.train(rows)
        first = self._index.ntotal
        self._index.add(rows)
        for offset, (name, digest) in enumerate(zip(ids, digests, strict=True)):
            self._ids.append(name)
            self._numbers[name], self._kept[name], self._texts[name] = first + offset, digest, texts[offset]
        self._rebuild()

    def _remove(self, ids: Sequence[str]) -> None:
        for name in ids:
            del self._numbers[name], self._kept[name], self._texts[name]
        self._rebuild()

    def _rebuild(self) -> None:
        """Rebuild the index without vectors of removed documents, if at least half of its vectors are of this kind."""
        dead = self._index.ntotal - len(self._numbers)
        if dead < max(len(self._numbers), _FEWEST_DEAD):
            return
        alive = sorted(self._numbers, key=self._numbers.__getitem__)
        try:
            rows = self._vectors([self._numbers[name] for name in alive]) if alive else None
        except RuntimeError as error:
            logger.warning("%d vectors of removed documents stay in FAISS: %s", dead, error)
            return
        self._index.reset()  # removes the vectors and keeps what was trained
        if rows is not None:
            self._index.add(rows)
        self._ids, self._numbers = alive, {name: number for number, name in enumerate(alive)}

    def _vectors(self, numbers: Sequence[int]) -> np.ndarray:
        """Read vectors back from FAISS by their numbers, (n, dimension)."""
        # An inverted-file index needs a map from numbers to vectors for this; other kinds raise an error here.
        with contextlib.suppress(RuntimeError):
            self._faiss.extract_index_ivf(self._index).make_direct_map()
        return self._index.reconstruct_batch(np.asarray(numbers, dtype=np.int64))
