"""Search in indexes of documents with a query encoder for each language.

Documents are encoded once by their own encoder, the teacher; each query is encoded by the encoder of its language. An
index is kept in memory, in FAISS, or in Qdrant (a folder on this machine, or a server by its URL). All have the same
two main methods, ``add(ids, texts)`` and ``query(texts, languages=..., top_k=...)``.
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
    # The engines are optional extras, so their modules are imported at the first use.
    if name == "FaissIndex":
        from hf_optical.search.faiss import FaissIndex

        return FaissIndex
    if name == "QdrantIndex":
        from hf_optical.search.qdrant import QdrantIndex

        return QdrantIndex
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
