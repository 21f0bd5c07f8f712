"""Ten queries of a retrieval set, from the largest loss by training to the largest gain, with what each row found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hf_optical.data.retrieval import RetrievalSet
from hf_optical.data.texts import shortened
from hf_optical.evaluation.retrieval import RetrievalScores
from hf_optical.results import table_rows

_SHOWN = (table_rows.RAW, *table_rows.OF_THE_START, table_rows.AFTER, table_rows.FUSED)
_STARTS = (table_rows.INJECTED, table_rows.INITIALIZED, table_rows.BEFORE, table_rows.RAW, table_rows.OFF_THE_SHELF)
_DOCUMENT = 160  # number of characters shown of a document


@dataclass(frozen=True)
class Found:
    """One document of a ranking, as shown on the page."""

    id: str
    text: str
    relevant: bool


@dataclass(frozen=True)
class Example:
    """One query with its English (if known), and by row its score and the documents found.

    Attributes:
        start: The row of the student with which the training began, or else of the teacher.
    """

    query: str
    english: str | None
    start: str
    scores: dict[str, float] = field(default_factory=dict)
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
        scores: Scores by row of the table; the order is by the difference of ``after`` and the untrained student (or
            else the teacher).
        best: Ids of the documents found, best first, by row and query.
        count: Number of queries.
        metric: Measure of the scores.

    Returns:
        The examples, the largest loss first; empty if ``after`` or a row to compare with is missing.
    """
    start = next((row for row in _STARTS if row in scores), None)
    if start is None or table_rows.AFTER not in scores:
        return []
    old, new = scores[start].per_query, scores[table_rows.AFTER].per_query
    order = sorted(new, key=lambda query: (new[query][metric] - old[query][metric], query))
    copied = table_rows.RAW in best and best.get(table_rows.BEFORE) == best[table_rows.RAW]  # a copy of its teacher
    left = {table_rows.BEFORE} if copied or table_rows.INITIALIZED in scores else set()
    rows = [row for row in _SHOWN if row in scores and row not in left]
    return [
        Example(
            item.queries[query],
            (item.english_queries or {}).get(query),
            table_rows.RAW if start in left else start,
            {row: scores[row].per_query[query][metric] for row in rows},
            {row: _documents(item, query, best[row].get(query, ())) for row in rows if row in best},
        )
        for query in spread(order, count)
    ]


def spread(items: Sequence[str], count: int) -> list[str]:
    """Return evenly spaced items, including the first and the last.

    Example:
        >>> spread(["a", "b", "c", "d", "e"], 3), spread(["a", "b"], 3)
        (['a', 'c', 'e'], ['a', 'b'])
    """
    if len(items) <= count:
        return list(items)
    return [items[round(place * (len(items) - 1) / (count - 1))] for place in range(count)]


def _documents(item: RetrievalSet, query: str, names: Sequence[str]) -> list[Found]:
    relevant = {name for name, grade in item.qrels.get(query, {}).items() if grade > 0}
    said = (item.english_queries or {}).get(query, "")
    return [Found(name, _excerpt(item.corpus[name], said), name in relevant) for name in names]


def _excerpt(text: str, said: str) -> str:
    """Shorten a document; from the query's English on if that stands in it, as in passages of held-out pairs."""
    place = text.find(said) if said else 0
    if place <= 0 or len(text) <= _DOCUMENT:
        return shortened(text, _DOCUMENT)
    return shortened(f"… {text[place:]}", _DOCUMENT)
