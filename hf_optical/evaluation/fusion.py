"""Reciprocal rank fusion: combine the rankings of several searchers without comparing their scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from hf_optical.errors import check_positive

SMOOTHING = 60
"""Smoothing constant of Cormack, Clarke and Büttcher (SIGIR 2009); a larger one lowers the weight of the first
ranks."""


def reciprocal_rank_fusion(rankings: Sequence[Iterable[str]], smoothing: float = SMOOTHING) -> dict[str, float]:
    """Fuse rankings of one query: the score of a document is the sum of ``1 / (smoothing + rank)``, ranks from 1.

    Cormack, Clarke and Büttcher, SIGIR 2009. A ranking adds nothing to documents that it does not contain.

    Args:
        rankings: Document ids, best first, of each searcher.
        smoothing: Positive.

    Returns:
        Scores by document, best first; equal scores in the order of the first ranking that has the documents.

    Raises:
        InputError: ``smoothing`` is not positive.

    Example:
        >>> reciprocal_rank_fusion([["a", "b"], ["b", "c"]], smoothing=1)
        {'b': 0.8333333333333333, 'a': 0.5, 'c': 0.3333333333333333}
    """
    check_positive("smoothing", smoothing)
    scores: dict[str, float] = {}
    for ranking in rankings:
        for rank, document in enumerate(ranking, start=1):
            scores[document] = scores.get(document, 0.0) + 1.0 / (smoothing + rank)
    return dict(sorted(scores.items(), key=lambda item: -item[1]))


def fuse_runs(
    runs: Sequence[Mapping[str, Mapping[str, float]]], smoothing: float = SMOOTHING, depth: int = 1000
) -> dict[str, dict[str, float]]:
    """Fuse whole runs, query by query.

    Args:
        runs: Scores of documents by query, of each searcher; equal scores are ordered as trec_eval does, by document
            id, the last in string order first.
        smoothing: See :func:`reciprocal_rank_fusion`.
        depth: Number of documents used from each run, and returned.

    Returns:
        A run: scores of documents by query; the queries of the first run.

    Example:
        >>> fuse_runs([{"q": {"a": 0.9, "b": 0.8}}, {"q": {"b": 7.0}}], smoothing=1)
        {'q': {'b': 0.8333333333333333, 'a': 0.5}}
    """
    fused = {}
    for query in runs[0]:
        rankings = [ranked(run.get(query, {}))[:depth] for run in runs]
        fused[query] = dict(list(reciprocal_rank_fusion(rankings, smoothing).items())[:depth])
    return fused


def ranked(scores: Mapping[str, float]) -> list[str]:
    """Order documents by score, best first; equal scores by id, the last in string order first, as in trec_eval.

    Example:
        >>> ranked({"a": 1.0, "b": 2.0, "c": 1.0})
        ['b', 'c', 'a']
    """
    return sorted(sorted(scores, reverse=True), key=lambda document: -scores[document])
