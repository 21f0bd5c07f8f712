"""Measure the starting point of each road on the user's own held-out pairs in minutes, before training."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from datasets import Dataset

from hf_optical.data.held_out import split_bitext
from hf_optical.encoders.encoding import bars_named
from hf_optical.encoders.models import load_encoder
from hf_optical.errors import InputError
from hf_optical.evaluation.bm25 import evaluate_bm25
from hf_optical.evaluation.document_cache import DocumentCache
from hf_optical.evaluation.held_out import held_out_sets
from hf_optical.evaluation.retrieval import RetrievalScores, evaluate_retrieval
from hf_optical.evaluation.significance import compare
from hf_optical.results import table_rows
from hf_optical.students import adapt_student, starting_student

logger = logging.getLogger(__name__)

QUERIES, OTHERS, FITTED, GROWN = 120, 400, 400, 4_000
"""Number of pairs used as queries, as further documents, to fit a map, and to grow a student."""
RAW, BM25 = table_rows.RAW, table_rows.BM25
GRAFTED, MAPPED, REINDEXED = "grafted", "mapped", "reindexed"
MEANINGS = {
    RAW: "your index, queries encoded by its own model",
    BM25: "BM25, without a model",
    GRAFTED: "your index, a student grown from its model with new rows aligned in your pairs",
    MAPPED: "your index, the multilingual encoder mapped onto it",
    REINDEXED: "a new index by the multilingual encoder, off the shelf",
}
MEASURE = "ndcg@10"


@dataclass
class Roads:
    """Scores on held-out sentences and passages by row of `MEANINGS`, before training.

    Attributes:
        language: FLORES code.
        scores: Scores of sentences and of passages, by row.
        seconds: Seconds by row.
        pairs: Number of pairs in the bitext.
        skipped: Rows that were left out, with the reason.
    """

    language: str
    pairs: int
    scores: dict[str, list[RetrievalScores]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def mean(self, row: str) -> float:
        """Return nDCG@10, the mean of sentences and passages."""
        return float(np.mean([scores.metrics[MEASURE] for scores in self.scores[row]]))

    def joined(self, row: str) -> RetrievalScores:
        """Return one score per query, the mean of sentences and passages, for paired tests."""
        parts = self.scores[row]
        per_query = {
            query: {MEASURE: float(np.mean([part.per_query[query][MEASURE] for part in parts]))}
            for query in parts[0].per_query
        }
        metrics = {MEASURE: float(np.mean([value[MEASURE] for value in per_query.values()]))}
        return RetrievalScores("held-out pairs", self.language, len(per_query), metrics, per_query)

    def table(self) -> str:
        """Format the scores as a table."""
        parts = next(iter(self.scores.values()))
        head = f"{'nDCG@10':10} {'sentences':>9} {'passages':>9} {'seconds':>8}"
        lines = [head]
        for row, scores in self.scores.items():
            values = " ".join(f"{part.metrics[MEASURE]:9.3f}" for part in scores)
            lines.append(f"{row:10} {values} {self.seconds[row]:8.0f}  {MEANINGS[row]}")
        lines += [f"{row:10} not measured: {why}" for row, why in self.skipped.items()]
        return "\n".join([*lines, f"({parts[0].n} held-out pairs are the queries; nothing is trained)"])


def measure_roads(
    rows: Dataset,
    language: str,
    *,
    teacher: str | None,
    encoder: str,
    documents: Sequence[str | None] | None = None,
    seed: int = 0,
) -> Roads:
    """Measure the user's present retrieval and the starting point of every road.

    Pairs are held out of the bitext, as whole documents if rows name one. Their translations search for their English
    sentence, and for the passage that contains it, among others of the bitext.

    Args:
        rows: The bitext, columns ``source`` and ``translation``.
        language: FLORES code of the translations.
        teacher: The index's model; ``None`` if there is no index.
        encoder: A multilingual encoder that could be used.
        documents: The document name of every row.
        seed: Random seed of the samples.

    Returns:
        Scores by row.

    Raises:
        InputError: The bitext is too small to hold pairs out, or a model has one vector per token.
    """
    split = split_bitext(rows, documents, seed=seed)
    if not len(split.held_out):
        raise InputError(
            f"there are {len(rows)} pairs, too few to hold some out and measure on them",
            "give a bitext of some hundred pairs",
            field="bitext",
        )
    held = split.held_out.select(range(min(QUERIES, len(split.held_out))))
    order = np.random.default_rng(seed).permutation(len(split.train))
    others = split.train.select(np.sort(order[:OTHERS]))
    fitted = split.train.select(np.sort(order[:FITTED]))
    sets = held_out_sets(held, others, language, seed=seed)
    roads, cache = Roads(language, len(rows)), DocumentCache()
    index, reads = _models(teacher, encoder, roads)

    def score(row: str, queries: Any, documents: Any) -> None:
        started = time.monotonic()
        with bars_named(row):
            roads.scores[row] = [evaluate_retrieval(queries, one, documents, document_cache=cache) for one in sets]
        roads.seconds[row] = roads.seconds.get(row, 0.0) + time.monotonic() - started

    def made(row: str, make: Any) -> Any:
        started = time.monotonic()
        student = make()
        roads.seconds[row] = time.monotonic() - started
        return student

    if index is not None:
        score(RAW, index, index)
    started = time.monotonic()
    roads.scores[BM25] = [evaluate_bm25(one) for one in sets]
    roads.seconds[BM25] = time.monotonic() - started
    if index is None:
        score(REINDEXED, reads, None)
        return roads
    if compare(roads.joined(RAW), roads.joined(BM25)).outcome == "win":
        roads.skipped[GRAFTED] = "the index's model already reads the language better than BM25"
    else:
        grown = split.train.select(np.sort(order[:GROWN]))
        score(GRAFTED, made(GRAFTED, lambda: starting_student("extend", index, grown, seed=seed)), index)
    if reads is index:
        roads.skipped[MAPPED] = roads.skipped[REINDEXED] = "the encoder is the index's own model"
    if reads is index or reads is None:
        return roads
    pairs = (fitted["source"][:], fitted["translation"][:])
    score(MAPPED, made(MAPPED, lambda: adapt_student(encoder, index, seed, pairs=pairs)), index)
    score(REINDEXED, reads, None)
    return roads


def _models(teacher: str | None, encoder: str, roads: Roads) -> tuple[Any, Any]:
    """Load the index's model, if there is one, and the multilingual encoder, if it can be reached."""
    index: Any = load_encoder(teacher) if teacher else None
    reads = index if teacher and str(teacher) == str(encoder) else _reachable(encoder, index, roads)
    for model, name in ((reads, encoder), (index, teacher)):
        if model is not None and not hasattr(model, "encode"):
            raise InputError("does not return sentence vectors", "give a sentence-transformers model", path=name)
    return index, reads


def _reachable(encoder: str, index: Any, roads: Roads) -> Any:
    """Load the multilingual encoder; without it, its roads are left out with the reason, if there is an index."""
    try:
        return load_encoder(encoder)
    except InputError as error:
        if index is None:
            raise
        why = f"{encoder} could not be loaded; name another one, by its Hub id or folder"
        logger.warning("%s (%s): its two roads are not measured", why, error.problem)
        roads.skipped[MAPPED] = roads.skipped[REINDEXED] = why
        return None
