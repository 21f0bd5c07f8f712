"""Hybrid search: BM25 over the texts of an index, fused with the search by vectors by reciprocal ranks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hf_optical.errors import InputError
from hf_optical.evaluation.bm25 import Bm25
from hf_optical.evaluation.fusion import reciprocal_rank_fusion
from hf_optical.search.hit import Hit

DEPTH = 100
"""Least number of documents of each ranking that are fused."""


class WordSearch:
    """BM25 in memory over the documents of an index.

    It is meant for up to some hundred thousand documents; for more, use the sparse vectors of a search engine.

    Args:
        texts: Text by document id; ``None`` for documents that were added as vectors.

    Raises:
        InputError: The text of a document is unknown.
    """

    def __init__(self, texts: Mapping[str, str | None]) -> None:
        unknown = [name for name, text in texts.items() if text is None]
        if unknown:
            raise InputError(
                f"the index holds vectors without texts ({len(unknown)} documents, the first is {unknown[0]!r})",
                "add the documents by text, or search without hybrid",
            )
        self._ids = sorted(texts)  # the order of equal scores does not depend on the order in the index
        self._bm25 = Bm25([texts[name] or "" for name in self._ids])

    def query(self, texts: Sequence[str], *, top_k: int) -> list[list[Hit]]:
        """Find the best documents of each query among those that share a word with it, best first."""
        return [[Hit(self._ids[place], score) for place, score in self._bm25.best(text, top_k)] for text in texts]


def fuse(found: Sequence[Sequence[Sequence[Hit]]], top_k: int) -> list[list[Hit]]:
    """Fuse the rankings of several searches for the same queries by reciprocal ranks.

    Args:
        found: For each search its hits for each query.
        top_k: Number of documents to return per query.

    Returns:
        Hits of each query; the score is the sum of the reciprocal ranks.

    Example:
        >>> fuse([[[Hit("a", 0.9), Hit("b", 0.8)]], [[Hit("b", 7.0)]]], 1)[0][0].id
        'b'
    """
    fused = []
    for lists in zip(*found, strict=True):
        scores = reciprocal_rank_fusion([[hit.id for hit in hits] for hits in lists])
        fused.append([Hit(name, score) for name, score in list(scores.items())[:top_k]])
    return fused
