"""Ten queries of a retrieval set, from the one that lost most to the one that gained most, and what each row found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hf_optical.data.retrieval import RetrievalSet
from hf_optical.data.texts import shortened
from hf_optical.evaluation.retrieval import RetrievalScores
from hf_optical.results import table_rows

_SHOWN = (table_rows.RAW, table_rows.INITIALIZED, table_rows.AFTER, table_rows.FUSED)
_DOCUMENT = 160  # characters of a document that are shown


@dataclass(frozen=True)
class Found:
    """One document in a ranking, as it is shown."""

    id: str
    text: str
    relevant: bool


@dataclass(frozen=True)
class Example:
    """One query, its English where there is one, the score before and after, and what each row found."""

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
    """Choose queries evenly over what training changed, so that losses are shown as often as they happen.

    Args:
        item: The retrieval set.
        scores: By row of the table; ``after``, and ``raw`` or the first of its other rows, decide the order.
        best: By row and query: ids of the documents found, best first.
        count: How many queries.
        metric: Their measure.

    Returns:
        Examples, the largest loss first; none where ``after`` or a row to compare with is missing.
    """
    start = next((row for row in table_rows.EARLIER if row in scores and row != table_rows.BM25), None)
    if start is None or table_rows.AFTER not in scores:
        return []
    old, new = scores[start].per_query, scores[table_rows.AFTER].per_query
    order = sorted(new, key=lambda query: (new[query][metric] - old[query][metric], query))
    return [_example(item, query, old[query][metric], new[query][metric], best) for query in spread(order, count)]


def spread(items: Sequence[str], count: int) -> list[str]:
    """Items at even distances, the first and the last among them.

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
