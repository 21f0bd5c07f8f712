"""Estimate of a run's evaluation time, from a sample of its texts and a search of random vectors."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hf_optical.data.retrieval import RetrievalSet
from hf_optical.encoders.encoding import encode_texts, resolve_interaction
from hf_optical.evaluation.held_out import SENTENCES
from hf_optical.evaluation.multilingual_set import MultilingualSet
from hf_optical.evaluation.retrieval import RetrievalScores, as_run
from hf_optical.evaluation.scoring import mean_scores, score_run
from hf_optical.evaluation.search import search_dense, search_multi_vector
from hf_optical.evaluation.significance import compare_all
from hf_optical.runs.planning.profiling import Clock

_SAMPLE, _QUERIES, _DEPTH = 96, 32, 1000
# Texts are truncated at the model's maximal length; a token is about four characters.
_CHARACTERS_PER_TOKEN = 4


@dataclass
class EvaluationCost:
    """Estimated cost of the evaluation.

    Attributes:
        start: Seconds before training.
        end: Seconds after training.
        bank: Seconds in which the teacher encodes the bank of English sentences.
        held_out: Seconds to encode the held-out pairs' index and to validate on it, before, during and after training.
        vectors: Size of the document vectors, which stay in memory, in bytes.
    """

    start: float = 0.0
    end: float = 0.0
    bank: float = 0.0
    held_out: float = 0.0
    vectors: float = 0.0


class EvaluationTimer:
    """Measures on samples and adds up the estimates.

    Args:
        clock: Function that returns the time in seconds.
        interaction: The run's option of this name.
        seed: Random seed of the samples.
    """

    def __init__(self, clock: Clock, interaction: Any = None, seed: int = 0) -> None:
        self._clock, self._interaction, self._random = clock, interaction, random.Random(seed)
        self._rates: dict[tuple[int, str], float] = {}
        self.cost = EvaluationCost()

    def seconds(self, model: Any, texts: Sequence[str], role: str) -> float:
        """Estimate the seconds to encode all texts from a sample of them."""
        key = (id(model), role)
        if key not in self._rates:
            sample = self._random.sample(list(texts), min(_SAMPLE, len(texts)))
            encode_texts(model, sample[:2], role, interaction=self._interaction)  # type: ignore[arg-type]
            start = self._clock()
            encode_texts(model, sample, role, interaction=self._interaction, batch_size=64)  # type: ignore[arg-type]
            self._rates[key] = (self._clock() - start) / max(1, _characters(model, sample))
        return self._rates[key] * _characters(model, texts)

    def add_set(self, item: RetrievalSet, teacher: Any, student: Any, *, before: int, start: bool, new: bool) -> None:
        """Add the cost of one set that is searched in the teacher's index.

        Args:
            item: The set.
            teacher: Encoder of the documents and of the queries of ``raw`` and ``ceiling``.
            student: Encoder of the queries of the other rows.
            before: Number of rows that the student fills before training.
            start: Whether anything is measured before training.
            new: Whether these documents were in no earlier set.
        """
        documents, queries = list(item.corpus.values()), list(item.queries.values())
        english = list((item.english_queries or {}).values())
        reading = self.seconds(teacher, documents, "document") if new else 0.0
        searching = self._searching(teacher, len(queries), len(documents), documents)
        encoding = self.seconds(student, queries, "query")
        end = encoding + searching
        if start:
            self.cost.start += self.seconds(teacher, queries, "query") + searching + before * (encoding + searching)
            if english:
                self.cost.start += self.seconds(teacher, english, "query") + searching
            end += 2 * self._testing(len(queries), 1 + before)  # once for the file and once for the sentences
        self.cost.start += reading if start else 0.0
        self.cost.end += end + (0.0 if start else reading)
        if new:
            self.cost.vectors += 4.0 * len(documents) * _width(teacher)

    def add_multilingual(self, item: MultilingualSet, teacher: Any, student: Any, *, before: int, start: bool) -> None:
        """Add the cost of one set whose documents the model itself encodes, in every language and for every row."""
        documents = [text for corpus in item.corpus.values() for text in corpus.values()]
        queries = [text for texts in item.queries.values() for text in texts.values()]

        def row(model: Any) -> float:
            searched = self._searching(model, 2 * len(queries), len(documents), documents)
            return self.seconds(model, documents, "document") + self.seconds(model, queries, "query") + searched

        own = row(student)
        self.cost.end += own + (2 * self._testing(len(queries), 1 + before) if start else 0.0)
        if start:
            self.cost.start += row(teacher) + before * own

    def add_bank(self, teacher: Any, english: Sequence[str], size: int) -> None:
        """Add the cost of the bank of English sentences over which the term ``rank`` ranks."""
        distinct = list(dict.fromkeys(english))
        share = min(1.0, size / max(1, len(distinct)))
        self.cost.bank += share * self.seconds(teacher, distinct, "query") if distinct else 0.0

    def add_held_out(self, sets: Sequence[RetrievalSet], teacher: Any, student: Any, *, validations: int) -> None:
        """Add the cost of the held-out pairs: the teacher's index, raw and English queries, and the validations."""
        documents = [text for item in sets for text in item.corpus.values()]
        queries = [text for item in sets if item.name == SENTENCES for text in item.queries.values()]
        searching = sum(
            self._searching(teacher, len(item.queries), len(item.corpus), list(item.corpus.values())) for item in sets
        )
        teachers = self.seconds(teacher, documents, "document") + 2 * self.seconds(teacher, queries, "query")
        readings = validations * (self.seconds(student, queries, "query") + searching)
        self.cost.held_out += teachers + 2 * searching + readings

    def _searching(self, model: Any, queries: int, documents: int, texts: Sequence[str]) -> float:
        """Estimate the seconds of search and measures for a number of queries and documents."""
        few = min(_QUERIES, queries, documents)
        generator = np.random.default_rng(0)
        names, ids = [f"q{i}" for i in range(few)], [f"d{i}" for i in range(documents)]
        if resolve_interaction(model, self._interaction) == "maxsim":
            sample = list(texts[: min(_SAMPLE, documents)])
            vectors: Any = encode_texts(model, sample, "document", interaction=self._interaction)
            asked: Any = encode_texts(model, sample[:few], "query", interaction=self._interaction)
            start = self._clock()
            search_multi_vector(asked, vectors, len(sample))
            return (self._clock() - start) * (queries / few) * (documents / len(sample))
        width = _width(model)
        vectors = generator.standard_normal((documents, width), dtype=np.float32)
        start = self._clock()
        scores, indices = search_dense(vectors[:few], vectors, min(_DEPTH, documents))
        score_run(as_run(names, ids, scores, indices), {name: {ids[0]: 1} for name in names})
        return (self._clock() - start) * queries / few

    def _testing(self, queries: int, rows: int) -> float:
        """Estimate the seconds of the paired tests of one row against others."""
        generator = np.random.default_rng(0)

        def drawn() -> RetrievalScores:
            per_query = {f"q{i}": {"ndcg@10": float(value)} for i, value in enumerate(generator.random(queries))}
            return RetrievalScores("", "", queries, mean_scores(per_query), per_query)

        start = self._clock()
        compare_all([(drawn(), drawn())])
        return (self._clock() - start) * rows


def _width(model: Any) -> int:
    """Return the width of a sentence vector, or of a token vector for late interaction."""
    return int(getattr(model, "get_embedding_dimension", int)() or 128)


def _characters(model: Any, texts: Sequence[str]) -> int:
    most = _CHARACTERS_PER_TOKEN * (model.max_seq_length or 512)
    return sum(min(len(text), most) for text in texts)
