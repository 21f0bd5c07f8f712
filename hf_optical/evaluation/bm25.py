"""BM25 on the query as it is: what an ordinary search engine makes of names, numbers and loan words."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import regex

from hf_optical.errors import InputError
from hf_optical.evaluation.retrieval import RetrievalScores, queries_to_score, scores_of_run

if TYPE_CHECKING:
    from hf_optical.data.retrieval import RetrievalSet

# Marks belong to the word: Python's own \w ends a Devanagari word at every vowel sign.
_WORD = regex.compile(r"[\p{L}\p{M}\p{N}]+")


def words(text: str) -> list[str]:
    """Words of letters, marks and digits, in NFKC and case-folded; no stop words, no stemming.

    Example:
        >>> words("Mt. Kenya’s 3rd हिन्दी")
        ['mt', 'kenya', 's', '3rd', 'हिन्दी']
    """
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def four_grams(text: str) -> list[str]:
    """The words' runs of four characters, shorter words whole (McNamee and Mayfield, 2004): finds inflected names.

    Example:
        >>> four_grams("Kenya la")
        ['keny', 'enya', 'la']
    """
    return [word[i : i + 4] for word in words(text) for i in range(max(1, len(word) - 3))]


TOKENISATIONS: dict[str, tuple[Callable[[str], list[str]], str]] = {
    "words": (words, "words of letters, marks and digits, NFKC, case-folded; no stop words, no stemming"),
    "4-grams": (four_grams, "runs of four characters within such words"),
}


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
        Measures, as :func:`~hf_optical.evaluation.retrieval.evaluate_retrieval` gives them.

    Raises:
        InputError: An unknown tokenisation; ``bm25s`` is not installed; no document has a token.

    Example:
        .. code-block:: python

            evaluate_bm25(read_retrieval_set("eval/set", "swh_Latn")).metrics["ndcg@10"]
    """
    if tokenisation not in TOKENISATIONS:
        raise InputError(f"is {tokenisation!r}", f"use one of {', '.join(TOKENISATIONS)}", field="tokenisation")
    cut = TOKENISATIONS[tokenisation][0]
    texts = queries_to_score(retrieval_set, queries)
    ids = list(retrieval_set.corpus)
    score = _index([cut(text) for text in retrieval_set.corpus.values()], k1, b, retrieval_set.name)
    run = {}
    for query, text in texts.items():
        scores = score(cut(text))
        order = np.argsort(-scores, kind="stable")[:top_k]
        run[query] = {ids[place]: float(scores[place]) for place in order if scores[place] > 0}
    return scores_of_run(retrieval_set, run)


def _index(documents: Sequence[list[str]], k1: float, b: float, name: str) -> Callable[[list[str]], np.ndarray]:
    try:
        import bm25s
    except ImportError as error:
        raise InputError("bm25s is not installed", "pip install 'hf-optical[bm25]'") from error
    vocabulary = sorted({token for tokens in documents for token in tokens})
    if not vocabulary:
        raise InputError(f"no document of {name} has a word", "check the corpus")
    known = set(vocabulary)
    index = bm25s.BM25(method="lucene", k1=k1, b=b)
    index.index([list(tokens) for tokens in documents], show_progress=False)

    def score(query: list[str]) -> np.ndarray:
        tokens = [token for token in query if token in known]
        return index.get_scores(tokens) if tokens else np.zeros(len(documents), dtype=np.float32)

    return score
