"""BM25 on the untranslated query, which matches names, numbers and loan words."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import regex

from hf_optical.errors import InputError
from hf_optical.evaluation.retrieval import RetrievalScores, queries_to_score, scores_of_run

if TYPE_CHECKING:
    from hf_optical.data.retrieval import RetrievalSet

# Combining marks belong to the word: Python's \w ends a Devanagari word at every vowel sign.
_WORD = regex.compile(r"[\p{L}\p{M}\p{N}]+")


def words(text: str) -> list[str]:
    """Split a text into words of letters, marks and digits, in NFKC and case-folded; no stop words, no stemming.

    Example:
        >>> words("Mt. Kenya’s 3rd हिन्दी")
        ['mt', 'kenya', 's', '3rd', 'हिन्दी']
    """
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def four_grams(text: str) -> list[str]:
    """Split words into character 4-grams; shorter words stay whole (McNamee and Mayfield, 2004). Finds inflected names.

    Example:
        >>> four_grams("Kenya la")
        ['keny', 'enya', 'la']
    """
    return [word[i : i + 4] for word in words(text) for i in range(max(1, len(word) - 3))]


TOKENISATIONS: dict[str, tuple[Callable[[str], list[str]], str]] = {
    "words": (words, "words of letters, marks and digits, NFKC, case-folded; no stop words, no stemming"),
    "4-grams": (four_grams, "character 4-grams within such words"),
}


class Bm25:
    """BM25 index of documents (Robertson and Zaragoza, 2009), in Lucene's variant as computed by ``bm25s`` (Lù, 2024).

    Needs the ``bm25`` extra.

    Args:
        documents: Texts.
        tokenisation: ``"words"`` or ``"4-grams"``, see `TOKENISATIONS`.
        k1: Saturation of a term's frequency.
        b: Correction for the document's length, 0 to 1.

    Raises:
        InputError: The tokenisation is unknown, or no document has a token.

    Example:
        >>> [place for place, _ in Bm25(["the goat sleeps", "rain is expected"]).best("mbuzi goat", 5)]
        [0]
    """

    def __init__(
        self, documents: Sequence[str], *, tokenisation: str = "words", k1: float = 1.2, b: float = 0.75
    ) -> None:
        if tokenisation not in TOKENISATIONS:
            raise InputError(f"is {tokenisation!r}", f"use one of {', '.join(TOKENISATIONS)}", field="tokenisation")
        import bm25s  # here, because its import takes some tenths of a second

        self._cut = TOKENISATIONS[tokenisation][0]
        cut = [self._cut(text) for text in documents]
        self._known = {token for tokens in cut for token in tokens}
        if not self._known:
            raise InputError("no document has a word", "check the corpus")
        self._index = bm25s.BM25(method="lucene", k1=k1, b=b)
        self._index.index(cut, show_progress=False)

    def best(self, query: str, top_k: int) -> list[tuple[int, float]]:
        """Return positions and scores of the best documents that share a token with the query, best first."""
        tokens = [token for token in self._cut(query) if token in self._known]
        if not tokens:
            return []
        scores = self._index.get_scores(tokens)
        order = np.argsort(-scores, kind="stable")[:top_k]
        return [(int(place), float(scores[place])) for place in order if scores[place] > 0]


def bm25_run(
    retrieval_set: RetrievalSet,
    *,
    queries: Mapping[str, str] | None = None,
    top_k: int = 1000,
    **options: Any,
) -> dict[str, dict[str, float]]:
    """Return the scores of the documents that BM25 finds, by judged query; ``options`` are those of `Bm25`.

    The other arguments and the errors are those of :func:`evaluate_bm25`.
    """
    texts = queries_to_score(retrieval_set, queries)
    ids = list(retrieval_set.corpus)
    try:
        index = Bm25(list(retrieval_set.corpus.values()), **options)
    except InputError as error:
        if error.path is None and "no document" in error.problem:
            raise InputError(f"no document of {retrieval_set.name} has a word", "check the corpus") from error
        raise
    return {query: {ids[place]: score for place, score in index.best(text, top_k)} for query, text in texts.items()}


def evaluate_bm25(
    retrieval_set: RetrievalSet,
    *,
    queries: Mapping[str, str] | None = None,
    tokenisation: str = "words",
    k1: float = 1.2,
    b: float = 0.75,
    top_k: int = 1000,
) -> RetrievalScores:
    """Score BM25 (Robertson and Zaragoza, 2009) as ``bm25s`` computes Lucene's variant (Lù, arXiv 2407.03618).

    Documents that share no token with the query are not retrieved. Needs the ``bm25`` extra.

    Args:
        retrieval_set: Queries, corpus and judgements.
        queries: Other texts for the same query ids, such as their English wording.
        tokenisation: ``"words"`` or ``"4-grams"``, see `TOKENISATIONS`.
        k1: Saturation of a term's frequency.
        b: Correction for the document's length, 0 to 1.
        top_k: Depth of the ranking.

    Returns:
        Measures, as returned by :func:`~hf_optical.evaluation.retrieval.evaluate_retrieval`.

    Raises:
        InputError: The tokenisation is unknown, or no document has a token.

    Example:
        .. code-block:: python

            evaluate_bm25(read_retrieval_set("eval/set", "swh_Latn")).metrics["ndcg@10"]
    """
    run = bm25_run(retrieval_set, queries=queries, top_k=top_k, tokenisation=tokenisation, k1=k1, b=b)
    return scores_of_run(retrieval_set, run)
