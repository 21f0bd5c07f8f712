"""Search an index that is there already: the documents' vectors stay, the query goes through its language's encoder.

Every index has the same two calls, ``add(ids, texts)`` and ``query(texts, languages=..., top_k=...)``: in memory, in
FAISS, in Qdrant (a folder on this machine, or a cluster by its URL).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hf_optical.search.hit import Hit
from hf_optical.search.index import DocumentIndex
from hf_optical.search.memory import MemoryIndex
from hf_optical.search.queries import QueryEncoders
from hf_optical.search.reranking import TokenReranker

if TYPE_CHECKING:
    from hf_optical.search.faiss import FaissIndex
    from hf_optical.search.qdrant import QdrantIndex

__all__ = ["DocumentIndex", "FaissIndex", "Hit", "MemoryIndex", "QdrantIndex", "QueryEncoders", "TokenReranker"]


def __getattr__(name: str) -> Any:
    # The engines are extras: their modules are read when asked for.
    if name == "FaissIndex":
        from hf_optical.search.faiss import FaissIndex

        return FaissIndex
    if name == "QdrantIndex":
        from hf_optical.search.qdrant import QdrantIndex

        return QdrantIndex
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
