"""Tables of scores in a card, and the same scores in the form of the Hub's ``model-index``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hf_optical.evaluation.multilingual import POOLED
from hf_optical.evaluation.paired_statistics import bootstrap_interval
from hf_optical.evaluation.tasks import row_name
from hf_optical.results.measures import MAIN_MEASURE
from hf_optical.results.records import Evaluation, Results, Scores
from hf_optical.results.table_rows import (
    AFTER,
    BEFORE,
    CEILING,
    EARLIER,
    ENGLISH_AFTER,
    ENGLISH_BEFORE,
    FUSED,
    with_current_names,
)

_SHOWN = (*EARLIER, AFTER, FUSED, CEILING)
_MODEL_INDEX = {MAIN_MEASURE: "ndcg_at_10", "mrr@10": "mrr_at_10", "recall@10": "recall_at_10", "map": "map"}
_RESAMPLES = 2_000


def score_tables(
    results: Mapping[str, Any], per_query: Mapping[str, Any] = {}, evaluations: Sequence[Mapping[str, Any]] = ()
) -> list[dict[str, Any]]:
    """Build one table per retrieval set and language.

    Args:
        results: ``results.json`` of training, with rows of :mod:`hf_optical.results.table_rows` and paired tests.
        per_query: The run's ``per_query.json``: ``{"set/language": {row: {query: scores}}}``.
        evaluations: ``results.json`` files of the evaluation recipe; each gives a table of one row, with the interval
            that the recipe computed.

    Returns:
        For each table the ``name`` of the language, ``set``, number of queries ``n``, ``rows``, and ``verdicts`` of
        the paired tests; numbers are formatted as text.
    """
    tables = []
    for entry in Results.from_json(results).evaluations:
        queries = with_current_names(per_query.get(f"{entry.set}/{entry.language}", {}))
        rows = [_row(row, found, _interval(queries.get(row))) for row in _SHOWN if (found := entry.rows.get(row))]
        verdicts = [f"{name}: {test['verdict']}" for name, test in (entry.tests or {}).items()]
        tables.append(_table(entry, rows, verdicts))
    for entry in (entry for each in evaluations for entry in Results.from_json(each).evaluations):
        if entry.scores:
            interval = (entry.intervals or {}).get(MAIN_MEASURE)
            tables.append(_table(entry, [_row(AFTER, entry.scores, interval)], []))
    return tables


def bias_rows(evaluations: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Format the language bias of every pooled set.

    Args:
        evaluations: ``results.json`` files of the evaluation recipe.

    Returns:
        For each set its name, ``rank_distance``, rank ``correlation`` and ``worst`` query language, as text.
    """
    return [
        {
            "set": name,
            "rank_distance": _number(bias.get("rank_distance"), 1),
            "correlation": _number(bias.get("mean_rank_correlation")),
            "worst": f"{_language(bias.get('worst_language') or '')} {_number(bias.get('worst_score'))}".strip(),
        }
        for each in evaluations
        for name, bias in (each.get("bias") or {}).items()
    ]


def english_rows(results: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Format nDCG@10 of English queries for sets on which the student was measured with them.

    Args:
        results: ``results.json`` of training.

    Returns:
        For each set its name, number of queries ``n``, and the scores ``ceiling``, ``before`` and ``after``, as text.
    """
    return [
        {
            "set": entry.set,
            "n": entry.n,
            **{
                name: _number(entry.score(row, MAIN_MEASURE))
                for name, row in ((CEILING, CEILING), (BEFORE, ENGLISH_BEFORE), (AFTER, ENGLISH_AFTER))
            },
        }
        for entry in Results.from_json(results).evaluations
        if entry.rows.get(ENGLISH_BEFORE) or entry.rows.get(ENGLISH_AFTER)
    ]


def trimming_rows(scores: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Format the comparison of the whole and the trimmed model.

    Args:
        scores: Result of :func:`~hf_optical.publishing.trim_proof.retrieval_before_and_after`.

    Returns:
        One row per set: names, number of queries ``n``, nDCG@10 ``before`` and ``after`` trimming, and the
        ``difference`` with its 95 % interval, as text.
    """
    return [
        {
            "set": row["set"],
            "language": _language(row["language"]),
            "n": row["n"],
            BEFORE: _number(row["whole"]),
            AFTER: _number(row["trimmed"]),
            "difference": f"{row['difference']:+.3f} [{row['interval'][0]:+.3f}, {row['interval'][1]:+.3f}]",
        }
        for row in scores
    ]


def eval_results(results: Mapping[str, Any], evaluations: Sequence[Mapping[str, Any]] = ()) -> list[Any]:
    """Convert the scores of the published model to the Hub's evaluation results.

    Args:
        results: ``results.json`` of training, of which the row ``after`` is used.
        evaluations: ``results.json`` files of the evaluation recipe.

    Returns:
        One ``huggingface_hub.EvalResult`` per set, language and measure; scores that are missing or not finite are
        left out.
    """
    from huggingface_hub import EvalResult

    found = []
    entries = [(entry, entry.rows.get(AFTER)) for entry in Results.from_json(results).evaluations]
    entries += [(entry, entry.scores) for each in evaluations for entry in Results.from_json(each).evaluations]
    for entry, scores in entries:
        pair = entry.language + (f"-{entry.document_language}" if entry.document_language else "")
        for measure, metric in _MODEL_INDEX.items():
            value = (scores or {}).get(measure)
            if value is None or not math.isfinite(value):
                continue
            found.append(
                EvalResult(
                    task_type="information-retrieval",
                    task_name="Information Retrieval",
                    dataset_type=entry.set,
                    dataset_name=f"{entry.set} ({_language(entry.language)}, {entry.n} queries)",
                    dataset_config=pair,
                    metric_type=metric,
                    metric_name=measure,
                    metric_value=round(float(value), 4),
                )
            )
    return found


def _table(entry: Evaluation, rows: list[dict[str, str]], verdicts: list[str]) -> dict[str, Any]:
    name = _language(entry.language)
    if answered := entry.document_language:
        name += f", documents: {'all languages' if answered == POOLED else _language(answered)}"
    return {"name": name, "set": entry.set, "n": entry.n, "rows": rows, "verdicts": verdicts}


def _row(label: str, scores: Scores, interval: Sequence[float] | None) -> dict[str, str]:
    shown = f"[{_number(interval[0])}, {_number(interval[1])}]" if interval else ""
    return {
        "label": f"**{label}**" if label == AFTER else label,
        "ndcg": _number(scores.get(MAIN_MEASURE)),
        "interval": shown,
        "mrr": _number(scores.get("mrr@10")),
        "recall": _number(scores.get("recall@10")),
        "map": _number(scores.get("map")),
    }


def _interval(queries: Mapping[str, Mapping[str, float]] | None) -> tuple[float, float] | None:
    if not queries:
        return None
    return bootstrap_interval([scores[MAIN_MEASURE] for scores in queries.values()], resamples=_RESAMPLES)


def _number(value: Any, digits: int = 3) -> str:
    return "" if value is None or not math.isfinite(value) else f"{value:.{digits}f}"


def _language(code: str) -> str:
    return row_name(code) if code else ""
