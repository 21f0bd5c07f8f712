"""Reciprocal rank fusion: one ranking out of several searchers' rankings, without comparing their scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from hf_optical.errors import check_positive

SMOOTHING = 60
"""The constant of Cormack, Clarke and Büttcher (SIGIR 2009): how little the first ranks differ from the next."""


def reciprocal_rank_fusion(rankings: Sequence[Iterable[str]], smoothing: float = SMOOTHING) -> dict[str, float]:
    """Fuse rankings of one query: each gives a document ``1 / (smoothing + rank)``, ranks from 1, and these are added.

    Cormack, Clarke and Büttcher, SIGIR 2009. A document that a ranking lacks gets nothing from it.

    Args:
        rankings: Document ids, best first, of each searcher.
        smoothing: Positive.

    Returns:
        Score by document, best first; equal ones in the order of the first ranking that has them.

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
        depth: Documents of each run that count, and documents returned.

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
    """Documents by score, best first; equal ones by id, the last in string order first, as trec_eval has it.

    Example:
        >>> ranked({"a": 1.0, "b": 2.0, "c": 1.0})
        ['b', 'c', 'a']
    """
    return sorted(sorted(scores, reverse=True), key=lambda document: -scores[document])
