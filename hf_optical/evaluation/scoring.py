"""Retrieval measures per query, computed by trec_eval's own code through ``pytrec_eval-terrier``."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pytrec_eval

from hf_optical.errors import InputError

Run = Mapping[str, Mapping[str, float]]
Qrels = Mapping[str, Mapping[str, int]]

RANK_CUTOFF = 10


def score_run(run: Run, qrels: Qrels, cutoffs: Iterable[int] = (1, 10, 100)) -> dict[str, dict[str, float]]:
    """Score a run against relevance judgements.

    Measures: ``recall@k`` at each cutoff, ``ndcg@10``, ``mrr@10`` (reciprocal rank, zero past rank 10), ``mrr`` and
    ``map`` over the whole run. trec_eval decides: documents are ordered by score in **float32**, largest first, and
    **ties are broken by document id, the last in string order first**, whatever the order of the run.

    Args:
        run: For each query, the score of each retrieved document.
        qrels: For each query, the relevance of each judged document, a whole number of any type; relevant is 1 or more.
        cutoffs: Depths of ``recall``.

    Returns:
        For **every** query of ``qrels``, its measures. A query with no result, or with nothing relevant, has zeros.

    Raises:
        InputError: If the run has a query without judgements, a cutoff is not positive, a score is no number or NaN
            (which has no place in an order), or a judgement is no whole number; the message names query and document.

    Example:
        >>> scores = score_run({"q": {"d1": 2.0, "d2": 1.0}}, {"q": {"d2": 1}, "lost": {"d1": 1}})
        >>> scores["q"]["mrr@10"], scores["q"]["recall@1"], scores["lost"]["map"]
        (0.5, 0.0, 0.0)
    """
    depths = sorted(set(cutoffs))
    if any(depth < 1 for depth in depths):
        raise InputError(f"cutoffs are {depths}", "give depths of at least 1")
    unjudged = sorted(set(run) - set(qrels))
    if unjudged:
        raise InputError(
            f"{len(unjudged)} queries of the run have no judgements, the first is {unjudged[0]!r}",
            "score judged queries only, or complete the qrels",
        )
    plain_qrels = {
        query: {document: _grade(grade, query, document) for document, grade in judged.items()}
        for query, judged in qrels.items()
        if judged
    }
    plain_run = {
        query: {document: _score(score, query, document) for document, score in results.items()}
        for query, results in run.items()
        if results and query in plain_qrels
    }
    measures = {"recip_rank", "map", f"ndcg_cut.{RANK_CUTOFF}", f"recall.{','.join(map(str, depths))}"}
    evaluated = pytrec_eval.RelevanceEvaluator(plain_qrels, measures).evaluate(plain_run) if plain_run else {}
    return {query: _named(evaluated.get(query, {}), depths) for query in qrels}


def mean_scores(per_query: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Average each measure over the queries.

    Args:
        per_query: The output of :func:`score_run`.

    Returns:
        The mean of each measure; empty for no queries.

    Example:
        >>> mean_scores({"a": {"map": 1.0}, "b": {"map": 0.0}})
        {'map': 0.5}
    """
    if not per_query:
        return {}
    names = next(iter(per_query.values()))
    return {name: float(np.mean([scores[name] for scores in per_query.values()])) for name in names}


def _score(value: Any, query: str, document: str) -> float:
    """Return a score as a float, which may be infinite but is no NaN."""
    try:
        score = float(value)
    except (TypeError, ValueError):
        score = math.nan
    if math.isnan(score):
        raise InputError(
            f"the score of document {document!r} for query {query!r} is {value!r}, which has no place in an order",
            "check the vectors of the query and of the document for NaN, or leave the document out of the run",
        )
    return score


def _grade(value: Any, query: str, document: str) -> int:
    """Return a judgement as trec_eval's code takes it; numpy's whole numbers, which pandas gives, are no ``int``."""
    try:
        return operator.index(value)
    except TypeError:
        raise InputError(
            f"the judgement of document {document!r} for query {query!r} is {value!r}",
            "give whole numbers, 1 or more for relevant documents: int(...)",
        ) from None


def _named(values: Mapping[str, float], depths: list[int]) -> dict[str, float]:
    reciprocal = values.get("recip_rank", 0.0)
    # Half a rank of slack: 1/10 in floating point must count as rank 10.
    within = reciprocal > 1.0 / (RANK_CUTOFF + 0.5)
    return {
        f"ndcg@{RANK_CUTOFF}": values.get(f"ndcg_cut_{RANK_CUTOFF}", 0.0),
        f"mrr@{RANK_CUTOFF}": reciprocal if within else 0.0,
        **{f"recall@{depth}": values.get(f"recall_{depth}", 0.0) for depth in depths},
        "map": values.get("map", 0.0),
        "mrr": reciprocal,
    }
