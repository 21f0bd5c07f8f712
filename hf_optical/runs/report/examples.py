"""Ten queries of a retrieval set, from the largest loss to the largest gain, with the documents found by each row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hf_optical.data.retrieval import RetrievalSet
from hf_optical.data.texts import shortened
from hf_optical.evaluation.retrieval import RetrievalScores
from hf_optical.results import table_rows

_SHOWN = (table_rows.RAW, table_rows.INITIALIZED, table_rows.AFTER, table_rows.FUSED)
_DOCUMENT = 160  # number of characters shown of a document


@dataclass(frozen=True)
class Found:
    """One document of a ranking, as shown on the page."""

    id: str
    text: str
    relevant: bool


@dataclass(frozen=True)
class Example:
    """One query with its English (if known), its scores before and after, and the documents found by each row."""

    query: str
    english: str | None
    before: float
    after: float
    found: dict[str, list[Found]] = field(default_factory=dict)


def examples(
    item: RetrievalSet,
    scores: Mapping[str, RetrievalScores],
    best: Mapping[str, Mapping[str, Sequence[str]]],
    *,
    count: int = 10,
    metric: str = "ndcg@10",
) -> list[Example]:
    """Choose queries evenly over the change that training made, so that losses are shown as often as they occur.

    Args:
        item: The retrieval set.
        scores: Scores by row of the table; the order is by the difference of ``after`` and ``raw`` (or the first other
            row).
        best: Ids of the documents found, best first, by row and query.
        count: Number of queries.
        metric: Measure of the scores.

    Returns:
        The examples, the largest loss first; empty if ``after`` or a row to compare with is missing.
    """
    start = next((row for row in table_rows.EARLIER if row in scores and row != table_rows.BM25), None)
    if start is None or table_rows.AFTER not in scores:
        return []
    old, new = scores[start].per_query, scores[table_rows.AFTER].per_query
    order = sorted(new, key=lambda query: (new[query][metric] - old[query][metric], query))
    return [_example(item, query, old[query][metric], new[query][metric], best) for query in spread(order, count)]


def spread(items: Sequence[str], count: int) -> list[str]:
    """Return evenly spaced items, including the first and the last.

    Example:
        >>> spread(["a", "b", "c", "d", "e"], 3), spread(["a", "b"], 3)
        (['a', 'c', 'e'], ['a', 'b'])
    """
    if len(items) <= count:
        return list(items)
    return [items[round(place * (len(items) - 1) / (count - 1))] for place in range(count)]


def _example(
    item: RetrievalSet, query: str, old: float, new: float, best: Mapping[str, Mapping[str, Sequence[str]]]
) -> Example:
    relevant = {name for name, grade in item.qrels.get(query, {}).items() if grade > 0}
    found = {
        row: [
            Found(name, shortened(item.corpus[name], _DOCUMENT), name in relevant) for name in best[row].get(query, ())
        ]
        for row in _SHOWN
        if row in best
    }
    return Example(item.queries[query], (item.english_queries or {}).get(query), old, new, found)


def _found(item: RetrievalSet, name: str, relevant: bool) -> Found:
    return Found(name, shortened(item.corpus[name], _DOCUMENT), relevant)
