"""Records and text tables of scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hf_optical.evaluation.multilingual import POOLED, MultilingualScores
from hf_optical.evaluation.paired_statistics import bootstrap_interval
from hf_optical.evaluation.retrieval import RetrievalScores
from hf_optical.evaluation.significance import legend_of
from hf_optical.results.measures import MEASURES
from hf_optical.results.records import Evaluation

_RESAMPLES = 2_000


def evaluation_entry(
    scores: RetrievalScores, document_language: str, task: str | None = None, *, seed: int = 0
) -> Evaluation:
    """Make one record of ``evaluations``: means and 95 % bootstrap intervals over the queries.

    Args:
        scores: The scores.
        document_language: FLORES code, or ``"pooled"``.
        task: ``"mono"``, ``"cross"`` or ``"multi"``; by default derived from the languages.
        seed: Random seed of the bootstrap.

    Returns:
        The record, with ``scores`` and ``intervals``.
    """
    values = {name: [query[name] for query in scores.per_query.values()] for name in MEASURES}
    return Evaluation(
        set=scores.set,
        language=scores.language,
        document_language=document_language,
        task=task or ("mono" if scores.language == document_language else "cross"),
        n=scores.n,
        scores=dict(scores.metrics),
        intervals={
            name: list(bootstrap_interval(column, resamples=_RESAMPLES, seed=seed)) for name, column in values.items()
        },
    )


def multilingual_entries(scores: MultilingualScores, *, seed: int = 0) -> list[Evaluation]:
    """Make the entries of all language pairs, then those of the pooled corpus."""
    pairs = [evaluation_entry(found, answered, seed=seed) for (_, answered), found in scores.pairs.items()]
    pooled = [evaluation_entry(found, POOLED, "multi", seed=seed) for found in scores.pooled.values()]
    for entry in (*pairs, *pooled):
        entry.set = scores.set
    return pairs + pooled


def scores_table(entries: Sequence[Evaluation], metric: str = "ndcg@10") -> str:
    """Format a table with one line per entry and the interval of ``metric``."""
    labels = [f"{entry.set}  {entry.language} -> {entry.document_language}" for entry in entries]
    width = max((len(label) for label in labels), default=0)
    head = f"{'':{width}}  {'n':>5}" + "".join(f"{name:>11}" for name in MEASURES) + f"  95 % of {metric}"
    lines = [head]
    for label, entry in zip(labels, entries, strict=True):
        numbers = "".join(f"{(entry.scores or {})[name]:11.3f}" for name in MEASURES)
        low, high = (entry.intervals or {})[metric]
        lines.append(f"{label:{width}}  {entry.n:5d}{numbers}  [{low:.3f}, {high:.3f}]")
        for row, scores in entry.rows.items():  # rows of BM25 and of its fusion with the encoder
            shown = "".join(f"{(scores or {})[name]:11.3f}" for name in MEASURES)
            lines.append(f"{'  ' + row:{width}}  {'':5}{shown}")
        for name, test in (entry.tests or {}).items():
            lines.append(f"  {name}: {test['verdict']}")
    if said := legend_of("\n".join(lines)):
        lines.append(said)
    return "\n".join(lines)


def task_table(scores: MultilingualScores, metric: str = "map") -> str:
    """Format monolingual, cross-lingual and multilingual means and the measures of language bias as text."""
    summary = scores.summary(metric)
    bias = scores.bias
    means = "   ".join(f"{task} {'-' if value is None else format(value, '.3f')}" for task, value in summary.items())
    by_language = ", ".join(f"{name} {value:.1f}" for name, value in bias.rank_distance_by_language.items())
    shares = ", ".join(
        f"{name} {share:.2f} ({bias.relevance_share[name]:.2f})" for name, share in bias.share_at_k.items()
    )
    correlation = "-" if np.isnan(bias.mean_rank_correlation) else f"{bias.mean_rank_correlation:.3f}"
    return "\n".join(
        [
            f"{scores.set}, {metric}:   {means}",
            f"  rank distance (lower is better)      {bias.rank_distance:.1f}   [{by_language}]",
            f"  rank correlation of query languages  {correlation}",
            f"  share of the first {bias.k} (of the relevant)  {shares}",
            f"  worst query language, pooled         {bias.worst_language} {bias.worst_score:.3f}",
        ]
    )


def pair_matrix(scores: MultilingualScores, metric: str = "map") -> tuple[list[str], list[str], np.ndarray]:
    """Return query languages, document languages (last column: pooled) and the matrix of scores, ``nan`` if missing."""
    rows = list(scores.pooled)
    columns = list(dict.fromkeys(answered for _, answered in scores.pairs))
    matrix = np.full((len(rows), len(columns) + 1), np.nan)
    for (asked, answered), found in scores.pairs.items():
        matrix[rows.index(asked), columns.index(answered)] = found.metrics[metric]
    for asked, found in scores.pooled.items():
        matrix[rows.index(asked), -1] = found.metrics[metric]
    return rows, [*columns, POOLED], matrix
