"""What of a retrieval set decides its scores without being in them: titles, missing texts, copies of documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["own_documents", "reading_notes", "unjudged_copies"]

Judgements = Mapping[str, Mapping[str, int]]


def own_documents(queries: Mapping[str, str], corpus: Mapping[str, str], qrels: Judgements) -> list[str]:
    """Queries that are a document themselves, by identifier and text, and are not judged to be their own answer.

    BEIR and MTEB leave such a document out of its query's ranking (ArguAna, Quora); left in, it comes first.

    Example:
        >>> own_documents({"a": "one", "b": "two"}, {"a": "one", "b": "three"}, {"a": {"c": 1}})
        ['a']
    """
    return [
        name for name, text in queries.items() if corpus.get(name) == text and qrels.get(name, {}).get(name, 0) <= 0
    ]


def unjudged_copies(corpus: Mapping[str, str], qrels: Judgements) -> int:
    """Count the judgements of a document of which the corpus has a copy that the same query does not judge.

    No encoder can tell them apart, and which comes first is an accident.

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
    """What ``results.json`` says of how a set was read, so that two scores of one set can be told apart.

    Args:
        titled: Documents that have a title.
        read: Whether titles were read.
        without_text: Judged queries that have no text.
        own: Queries that are a document themselves.
        copies: Judgements of a document of which there is an unjudged copy.

    Example:
        >>> reading_notes(0, False), reading_notes(8, True, 2)
        ({}, {'titles': {'documents': 8, 'read': True}, 'judged_without_text': 2})
    """
    notes: dict[str, Any] = {"titles": {"documents": titled, "read": read}} if titled else {}
    found = {"judged_without_text": without_text, "queries_in_corpus": own, "unjudged_copies": copies}
    return notes | {name: count for name, count in found.items() if count}
