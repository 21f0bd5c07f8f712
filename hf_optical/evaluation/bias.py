"""Language bias of a ranking over a corpus pooled from several languages.

All functions take scores of **all** documents, shape ``(queries, documents)``; ``-inf`` marks documents that were not
retrieved. Ties share their mean rank, so that the order of the corpus has no influence.

Rank distance: Elmahdy, Lin and Ahmad (arXiv 2408.10536). MRC: arXiv 2509.06195. The first grows with the size of the
corpus, the second is bounded, so report both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from scipy.stats import rankdata

from hf_optical.errors import InputError


@dataclass
class LanguageBias:
    """Bias measures of one model on one pooled corpus.

    Args:
        rank_distance: Mean over all queries; lower is better, 0 is none.
        rank_distance_by_language: Mean over the queries of each language.
        mean_rank_correlation: In ``[-1, 1]``, higher is better; ``nan`` with fewer than two query languages.
        share_at_k: Share of each document language among the first ``k``.
        relevance_share: Share of each document language among the relevant documents.
        k: The depth of ``share_at_k``.
        worst_language: The query language with the lowest scores.
        worst_score: Its mean score.
    """

    rank_distance: float
    rank_distance_by_language: dict[str, float]
    mean_rank_correlation: float
    share_at_k: dict[str, float] = field(default_factory=dict)
    relevance_share: dict[str, float] = field(default_factory=dict)
    k: int = 10
    worst_language: str = ""
    worst_score: float = float("nan")


def rank_distance(scores: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """Compute the largest minus the smallest rank among a query's parallel relevant passages.

    Args:
        scores: Shape ``(queries, documents)``, of the whole pooled corpus.
        relevant: Boolean, the same shape.

    Returns:
        Shape ``(queries,)``, in ranks; 0 for a single relevant passage or if all are tied, ``nan`` if there is none.

    Raises:
        InputError: If the shapes differ or a score is not a number.

    Example:
        >>> rank_distance(np.array([[0.9, 0.5, 0.1]]), np.array([[True, False, True]])).tolist()
        [2.0]
    """
    relevant = np.asarray(relevant, dtype=bool)
    if relevant.shape != np.shape(scores):
        raise InputError(
            f"scores have the shape {np.shape(scores)} and relevance {relevant.shape}",
            "give a score and a relevance for every document",
        )
    if relevant.size == 0:
        return np.full(len(relevant), np.nan)
    ranks = ranks_of(scores)
    distance = np.where(relevant, ranks, -np.inf).max(axis=1) - np.where(relevant, ranks, np.inf).min(axis=1)
    return np.where(relevant.any(axis=1), distance, np.nan)


def mean_rank_correlation(scores_by_language: Mapping[str, np.ndarray]) -> float:
    """Compute the mean Spearman correlation between the rankings of a query in two languages.

    Args:
        scores_by_language: For each query language an array ``(queries, documents)``; row ``i`` is the same question
            and column ``j`` the same document in all of them.

    Returns:
        In ``[-1, 1]``. The mean is over queries and language pairs. Rankings in which all documents are tied have no
        correlation and are left out; ``nan`` if nothing is left, for example with one language.

    Raises:
        InputError: If the shapes differ.

    Example:
        >>> scores = np.array([[3.0, 2.0, 1.0]])
        >>> mean_rank_correlation({"eng_Latn": scores, "swh_Latn": scores, "som_Latn": -scores}).__round__(3)
        -0.333
    """
    shapes = {np.shape(scores) for scores in scores_by_language.values()}
    if len(shapes) > 1:
        raise InputError(f"scores have different shapes {sorted(shapes)}", "rank the same queries and documents")
    standard = {language: _standardised_ranks(scores) for language, scores in scores_by_language.items()}
    correlations = [(standard[a] * standard[b]).sum(axis=1) for a, b in combinations(standard, 2)]
    values = np.concatenate(correlations) if correlations else np.zeros(0)
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else float("nan")


def language_share(scores: np.ndarray, languages: Sequence[str], k: int = 10) -> dict[str, float]:
    """Compute the share of each language among the first ``k`` documents, averaged over the queries.

    Documents tied at the last place share it equally. Queries that retrieve nothing are left out.

    Args:
        scores: Shape ``(queries, documents)``.
        languages: Language of each document.
        k: Depth.

    Returns:
        Shares that sum to 1, in the order in which languages occur; ``nan`` if nothing was retrieved.

    Raises:
        InputError: If there is not one language per document, or ``k`` is not positive.

    Example:
        >>> language_share(np.array([[3.0, 2.0, 1.0]]), ["eng_Latn", "swh_Latn", "swh_Latn"], k=2)
        {'eng_Latn': 0.5, 'swh_Latn': 0.5}
    """
    scores = _scores(scores)
    if len(languages) != scores.shape[1] or k < 1:
        raise InputError(
            f"{len(languages)} languages for {scores.shape[1]} documents, k is {k}",
            "give one language per document and k of at least 1",
        )
    weights = _top_weights(scores, k)
    retrieved = weights.sum(axis=1)
    weights = weights[retrieved > 0] / retrieved[retrieved > 0, None]
    return _by_language(weights, languages)


def relevance_share(relevant: np.ndarray, languages: Sequence[str]) -> dict[str, float]:
    """Compute the share of each language among a query's relevant documents, averaged over the queries that have any.

    This is :func:`language_share` of an unbiased ranking. The arguments are the same.

    Example:
        >>> relevance_share(np.array([[True, False, True]]), ["eng_Latn", "swh_Latn", "swh_Latn"])
        {'eng_Latn': 0.5, 'swh_Latn': 0.5}
    """
    relevant = np.asarray(relevant, dtype=float)
    relevant = relevant[relevant.any(axis=1)]
    return _by_language(relevant / relevant.sum(axis=1, keepdims=True), languages)


def worst_language(scores: Mapping[str, float]) -> tuple[str, float]:
    """Find the language with the lowest score, the first of them in a tie.

    Example:
        >>> worst_language({"swh_Latn": 0.4, "som_Latn": 0.2})
        ('som_Latn', 0.2)
    """
    if not scores:
        raise InputError("there is no language", "score at least one language")
    language = min(scores, key=lambda name: scores[name])
    return language, scores[language]


def ranks_of(scores: np.ndarray) -> np.ndarray:
    """Compute ranks from 1, best first, ties at their mean rank; the shape is that of ``scores``.

    Example:
        >>> ranks_of(np.array([[0.1, 0.9, 0.9]])).tolist()
        [[3.0, 1.5, 1.5]]
    """
    return rankdata(-_scores(scores), axis=1)


def _scores(scores: np.ndarray) -> np.ndarray:
    scores = np.asarray(scores, dtype=float)
    if scores.ndim != 2 or np.isnan(scores).any():
        raise InputError(
            f"scores have the shape {scores.shape}" + (" and contain NaN" if np.isnan(scores).any() else ""),
            "give numbers of the shape (queries, documents)",
        )
    return scores


def _standardised_ranks(scores: np.ndarray) -> np.ndarray:
    ranks = ranks_of(scores)
    ranks -= ranks.mean(axis=1, keepdims=True) if ranks.size else 0.0
    norms = np.linalg.norm(ranks, axis=1, keepdims=True)
    return np.divide(ranks, norms, out=np.full_like(ranks, np.nan), where=norms > 0)


def _top_weights(scores: np.ndarray, k: int) -> np.ndarray:
    """Return weight 1 for documents above the k-th score, and equal parts of the rest for documents tied with it."""
    retrieved = scores > -np.inf
    if k >= scores.shape[1]:
        return retrieved.astype(float)
    threshold = -np.partition(-scores, k - 1, axis=1)[:, k - 1 : k]
    above, level = scores > threshold, (scores == threshold) & retrieved
    left = k - above.sum(axis=1, keepdims=True)
    tied = np.maximum(level.sum(axis=1, keepdims=True), 1)
    return above + level * (left / tied)


def _by_language(weights: np.ndarray, languages: Sequence[str]) -> dict[str, float]:
    names = list(dict.fromkeys(languages))
    if not len(weights):
        return dict.fromkeys(names, float("nan"))
    means = weights.mean(axis=0)
    labels = np.array(languages)
    return {name: float(means[labels == name].sum()) for name in names}
