"""Retrieval on held-out pairs: translations are queries; their English and the passage containing it are the answers.

The index is English that the teacher encoded as documents: the held-out sentences among other sentences of the bitext,
and passages of four sentences.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from datasets import Dataset

from hf_optical.data.languages import ENGLISH
from hf_optical.data.retrieval import RetrievalSet
from hf_optical.encoders.encoding import Encoder, Vectors, encode_texts, resolve_interaction
from hf_optical.evaluation.document_cache import DocumentCache
from hf_optical.evaluation.retrieval import RetrievalScores, as_run, own_similarity, scores_of_run, search

SENTENCES, PASSAGES = "held-out sentences", "held-out passages"
MEASURE = "ndcg@10"
_WIDTH = 4  # number of sentences in a passage
_DISTRACTORS = 2_000  # number of further sentences of the bitext in the index
_OTHER_PASSAGES = 250
_DEPTH = 100

Using = Callable[[str], AbstractContextManager[Any]]


@dataclass(frozen=True)
class HeldOutScore:
    """Scores of a student on held-out pairs.

    Attributes:
        value: Mean nDCG@10 over languages and over sentences and passages, by which a step is chosen.
        parts: nDCG@10 by set and language.
    """

    value: float
    parts: dict[str, float]


def held_out_sets(held_out: Dataset, train: Dataset, language: str, *, seed: int = 0) -> list[RetrievalSet]:
    """Make the two retrieval sets of one language.

    Args:
        held_out: The pairs (``source``, ``translation``), in the order of the file, because neighbours form a passage.
        train: Other pairs of the same bitext, whose English fills the rest of the index.
        language: FLORES code of the translations.
        seed: Random seed of these other pairs.

    Returns:
        The sets of sentences and of passages, with the English as queries for the ceiling.
    """
    english: list[str] = list(held_out["source"])
    queries = {f"q{number}": text for number, text in enumerate(held_out["translation"])}
    wordings = {f"q{number}": text for number, text in enumerate(english)}
    distinct = {text: f"d{number}" for number, text in enumerate(dict.fromkeys(english))}
    generator = np.random.default_rng(seed)
    drawn = np.sort(generator.permutation(len(train))[:_DISTRACTORS])
    corpus = {name: text for text, name in distinct.items()}
    for number, text in enumerate(dict.fromkeys(train.select(drawn)["source"])):
        if text not in distinct:
            corpus[f"t{number}"] = text
    judged = {f"q{number}": {distinct[text]: 1} for number, text in enumerate(english)}
    passages, holds = _passages(english)
    of_query = {f"q{number}": {f"p{passage}": 1 for passage in holds[text]} for number, text in enumerate(english)}
    texts = {f"p{number}": text for number, text in enumerate(passages)}
    starts = np.sort(generator.permutation(max(1, len(train) // _WIDTH))[:_OTHER_PASSAGES]) * _WIDTH
    for number, start in enumerate(starts):
        rows = train[int(start) : int(start) + _WIDTH]["source"]
        if rows and not distinct.keys() & set(rows):
            texts[f"o{number}"] = " ".join(rows)
    return [
        RetrievalSet(SENTENCES, language, ENGLISH, queries, corpus, judged, wordings),
        RetrievalSet(PASSAGES, language, ENGLISH, queries, texts, of_query, wordings),
    ]


def _passages(english: Sequence[str]) -> tuple[list[str], dict[str, list[int]]]:
    """Join neighbouring sentences to passages, and return the passage of each sentence."""
    passages, holds = list[str](), dict[str, list[int]]()
    for start in range(0, len(english), _WIDTH):
        part = english[start : start + _WIDTH]
        for text in dict.fromkeys(part):
            holds.setdefault(text, []).append(len(passages))
        passages.append(" ".join(part))
    return passages, holds


class HeldOutRetrieval:
    """Scores students on held-out pairs; the teacher encodes the index once.

    Args:
        sets: Sets made by `held_out_sets`, of one or more languages.
        teacher: Encoder of the documents.
        interaction: ``"dense"``, ``"maxsim"`` or ``None`` for the teacher's own.
        documents: Cache of the documents' vectors; in memory if ``None``.
        batch_size: Texts per forward pass.
    """

    def __init__(
        self,
        sets: Sequence[RetrievalSet],
        teacher: Encoder,
        *,
        interaction: Any = None,
        documents: DocumentCache | None = None,
        batch_size: int = 64,
    ) -> None:
        self.sets = list(sets)
        self._teacher, self._interaction = teacher, resolve_interaction(teacher, interaction)
        self._documents = documents if documents is not None else DocumentCache()
        self._batch_size = batch_size
        self._vectors: list[Vectors] = []

    def scores(self, model: Encoder, using: Using | None = None, queries: str = "translation") -> list[RetrievalScores]:
        """Score a model on every set, in their order.

        Args:
            model: Encoder of the queries.
            using: Context manager that selects a language's adapter while its queries are encoded.
            queries: ``"translation"``, or ``"english"`` for the ceiling.
        """
        if not self._vectors:
            self._vectors = [self._read_index(item) for item in self.sets]
        read: dict[tuple[str, ...], Vectors] = {}
        found = []
        similarity = "dot" if self._interaction == "maxsim" else own_similarity(self._teacher)
        for item, vectors in zip(self.sets, self._vectors, strict=True):
            texts: Mapping[str, str] = item.queries if queries == "translation" else item.english_queries or {}
            key = tuple(texts.values())
            if key not in read:  # both sets of a language have the same queries
                with using(item.query_language) if using else nullcontext():
                    read[key] = encode_texts(
                        model, list(key), "query", interaction=self._interaction, batch_size=self._batch_size
                    )
            scores, places = search(read[key], vectors, _DEPTH, similarity)  # type: ignore[arg-type]
            run = as_run(list(texts), list(item.corpus), scores, places)
            found.append(replace(scores_of_run(item, run), run=run))
        return found

    def score(self, model: Encoder, using: Using | None = None) -> HeldOutScore:
        """Score a model by one number, with the measures whose mean it is."""
        return self.summed_up(self.scores(model, using))

    def summed_up(self, found: Sequence[RetrievalScores]) -> HeldOutScore:
        """Summarise the result of `scores` in one number."""
        parts = {
            f"{item.name} {item.query_language}": scores.metrics[MEASURE]
            for item, scores in zip(self.sets, found, strict=True)
        }
        return HeldOutScore(float(np.mean(list(parts.values()))), parts)

    def _read_index(self, item: RetrievalSet) -> Vectors:
        return self._documents.vectors(
            self._teacher,
            list(item.corpus.values()),
            "document",
            interaction=self._interaction,
            batch_size=self._batch_size,
        )
