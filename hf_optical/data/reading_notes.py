"""Notes on how a retrieval set was read that explain differences of scores: titles, missing texts, copies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["own_documents", "reading_notes", "unjudged_copies"]

Judgements = Mapping[str, Mapping[str, int]]


def own_documents(queries: Mapping[str, str], corpus: Mapping[str, str], qrels: Judgements) -> list[str]:
    """List queries that are also a document, with the same identifier and text, and are not judged relevant to itself.

    BEIR and MTEB remove such a document from the ranking of its query (ArguAna, Quora); otherwise it is ranked first.

    Example:
        >>> own_documents({"a": "one", "b": "two"}, {"a": "one", "b": "three"}, {"a": {"c": 1}})
        ['a']
    """
    return [
        name for name, text in queries.items() if corpus.get(name) == text and qrels.get(name, {}).get(name, 0) <= 0
    ]


def unjudged_copies(corpus: Mapping[str, str], qrels: Judgements) -> int:
    """Count positive judgements of a document that has an exact copy in the corpus without a judgement for the query.

    An encoder gives both the same score, so their order in the ranking is arbitrary.

    Example:
        >>> unjudged_copies({"a": "one", "b": "one", "c": "two"}, {"q": {"a": 1}, "r": {"a": 1, "b": 1}, "s": {"c": 1}})
        1
    """
    places: dict[str, list[str]] = {}
    for name, text in corpus.items():
        places.setdefault(text, []).append(name)
    return sum(
        grade > 0 and document in corpus and any(other not in judged for other in places[corpus[document]])
        for judged in qrels.values()
        for document, grade in judged.items()
    )


def reading_notes(titled: int, read: bool, without_text: int = 0, own: int = 0, copies: int = 0) -> dict[str, Any]:
    """Build the entry of ``results.json`` on how a set was read, which tells different scores of one set apart.

    Args:
        titled: Number of documents with a title.
        read: Whether titles were read.
        without_text: Number of judged queries without a text.
        own: Number of queries that are also a document.
        copies: Number of judgements of a document that has an unjudged copy.

    Example:
        >>> reading_notes(0, False), reading_notes(8, True, 2)
        ({}, {'titles': {'documents': 8, 'read': True}, 'judged_without_text': 2})
    """
    notes: dict[str, Any] = {"titles": {"documents": titled, "read": read}} if titled else {}
    found = {"judged_without_text": without_text, "queries_in_corpus": own, "unjudged_copies": copies}
    return notes | {name: count for name, count in found.items() if count}
