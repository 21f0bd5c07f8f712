"""Student for an index whose model is not available, mapped onto the index's vectors.

The same map predicts the vectors that English sentences would have in the index.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize
from sentence_transformers.sentence_transformer.modules import Pooling
from torch import Tensor
from torch.nn import functional

from hf_optical.encoders.models import load_encoder
from hf_optical.encoders.parts import transformer_of
from hf_optical.errors import InputError
from hf_optical.students.index_sample import MOST_ROWS, IndexRows, IndexSample, index_sample
from hf_optical.students.map_choice import PENALTIES, Judgement, MapReport, MapScore, refined_scores
from hf_optical.students.map_ranking import ranked_maps
from hf_optical.students.mapped import as_dense, drawn_pairs, front_of
from hf_optical.students.own_search import (
    FEWEST_DOCUMENTS,
    different_documents,
    held_out_documents,
    held_out_rows,
    score_of_own,
)
from hf_optical.students.space_map import LinearMap, Moments, procrustes, ridge


@dataclass
class VectorsOnlyStart:
    """Student for an index's vectors, with vectors of the bitext's English sentences in the space of the index.

    Attributes:
        student: The student, whose vectors are compared with the index's.
        texts: The n different English sentences.
        vectors: Their unit vectors, ``(n, d)``, from the index if it has the text, else predicted by the map.
        known: Number of vectors from the index.
        bank: Vectors of the documents that were drawn, ``(N, d)``.
        report: Report on the choice of the map.
    """

    student: SentenceTransformer
    texts: list[str]
    vectors: np.ndarray
    known: int
    bank: np.ndarray
    report: MapReport


def start_on_vectors(
    name_or_path: str,
    index: IndexRows,
    english: Sequence[str],
    translations: Sequence[str],
    *,
    also: Sequence[str] = (),
    seed: int = 0,
    most_rows: int = MOST_ROWS,
    most_pairs: int = 2_000,
) -> VectorsOnlyStart:
    """Map a multilingual encoder onto the vectors of an index, without the index's model.

    The encoder encodes a sample of the index's documents, and a map from its vectors to the index's is fitted on
    them. The choice between ridge with different penalties, Procrustes, and the best of these refined by ranking is
    made on held-out documents. The same map
    predicts the vectors of the bitext's English sentences in the index, of those that are not rows of the index
    themselves. The offset between the language and English is subtracted if this improves the retrieval of held-out
    pairs.

    Args:
        name_or_path: Hub id or folder of a multilingual encoder.
        index: Blocks of the index's rows.
        english: English sentences of the bitext.
        translations: Their translations.
        also: Further English sentences for which vectors are predicted, for instance of pairs that are held out of the
            training; the map is not fitted on them.
        seed: Random seed of the sampled and the held-out pairs.
        most_rows: Largest number of rows of the index to draw at random; the index is read once, to its end.
        most_pairs: Largest number of pairs with which the offset is decided.

    Returns:
        The student, the vectors of the English sentences, and a report.

    Raises:
        InputError: The model cannot be loaded, or the index has fewer than 50 rows.
    """
    complete: Any = load_encoder(name_or_path)
    transformer = transformer_of(complete)
    front = front_of(transformer, complete, complete)
    unique = list(dict.fromkeys([*english, *also]))
    own: dict[str, Tensor] = {}
    sample = index_sample(_noting(index, set(unique), own), seed, most_rows)
    _check_rows(sample)
    vectors = sample.vectors
    read = front.read(sample.texts, progress=f"student reads {sample.sentence()}").pooled
    started = time.monotonic()
    found, scores = _fit(read, vectors, seed)
    seconds = time.monotonic() - started
    pooled = dict(zip(unique, front.read(unique, progress="student reads English").pooled, strict=True))
    some, others = drawn_pairs(english, translations, most_pairs, seed)
    foreign = front.read(others, progress="student reads translations").pooled
    started = time.monotonic()
    mapped, chosen, held = _offset(found, scores, foreign, torch.stack([pooled[text] for text in some]), some, seed)
    scores += chosen
    best = max(chosen, key=lambda one: one.fit)
    report = MapReport(best, scores, len(some), held, len(read), seconds, sample.total)
    foretold = {text: functional.normalize(found(row).float(), dim=-1) for text, row in pooled.items()}
    rows = torch.stack([own.get(text, foretold[text]) for text in unique])
    student = SentenceTransformer(
        modules=[
            transformer,
            as_dense(mapped),
            Pooling(vectors.shape[1], front.pooling.pooling_mode, front.pooling.include_prompt),
            Normalize(),
        ],
        device=str(complete.device),
        prompts=dict(complete.prompts),
        default_prompt_name=complete.default_prompt_name,
        similarity_fn_name="cosine",
    )
    return VectorsOnlyStart(student.eval(), unique, rows.numpy(), len(own), vectors.numpy(), report)


def _noting(index: IndexRows, wanted: set[str], own: dict[str, Tensor]) -> Iterator[tuple[Sequence[str], np.ndarray]]:
    """Yield the blocks of an index, and note the unit vectors of wanted texts, whether or not they are drawn."""
    for texts, vectors in index:
        for at, text in enumerate(texts):
            if text in wanted:
                own[text] = functional.normalize(torch.from_numpy(np.array(vectors[at])).float(), dim=-1)
        yield texts, vectors


def _check_rows(sample: IndexSample) -> None:
    different = different_documents(sample.vectors)
    if different < FEWEST_DOCUMENTS:
        copies = f" ({len(sample.texts)} with copies)" if different < len(sample.texts) else ""
        raise InputError(
            f"a map onto the index is fitted on its rows, and there are only {different}{copies}",
            f"give {FEWEST_DOCUMENTS} or more different ones",
            field="index_rows",
        )


def _fit(read: Tensor, vectors: Tensor, seed: int) -> tuple[LinearMap, list[MapScore]]:
    """Choose a map on held-out documents, and fit it on all; maps are scored by how well documents find themselves."""
    held, rest = held_out_documents(vectors)
    part, scores = Moments.of(read[rest], vectors[rest]), []

    def score(found: LinearMap) -> Judgement:
        return (*score_of_own(functional.normalize(found(read[held]).float(), dim=-1), vectors, held), None)

    for kind, penalty in (*(("ridge", one) for one in PENALTIES), ("procrustes", 0.0)):
        scores.append(MapScore(kind, penalty, "joint", 1.0, 0.0, *score(_solved(part, kind, penalty))))
    closed = max(scores, key=lambda one: one.fit)
    started = _solved(part, closed.kind, closed.penalty)
    scores += refined_scores(closed, ranked_maps(started, read[rest], vectors[rest], lambda y: y, seed=seed), score)
    best = max(scores, key=lambda one: one.fit)
    whole = _solved(Moments.of(read, vectors), closed.kind, closed.penalty)
    if best.steps:
        whole = ranked_maps(whole, read, vectors, lambda y: y, seed=seed)[best.steps]
    return whole, scores


def _solved(moments: Moments, kind: str, penalty: float) -> LinearMap:
    return ridge(moments, penalty) if kind == "ridge" else procrustes(moments)


def _offset(
    found: LinearMap, scores: list[MapScore], foreign: Tensor, english: Tensor, sources: Sequence[str], seed: int
) -> tuple[LinearMap, list[MapScore], int]:
    """Shift the language's mean to that of English, if held-out pairs are found better with the shifted map.

    Returns:
        The map, the scores without and with the shift, and the number of held-out pairs.
    """
    best = max(scores, key=lambda one: one.fit)
    held, rest = held_out_rows(sources, seed)
    goal = functional.normalize(found(english).float(), dim=-1)

    def moved(rows: Sequence[int] | slice) -> LinearMap:
        return LinearMap(found.weight, found.bias + found(english[rows]).mean(0) - found(foreign[rows]).mean(0))

    tried = []
    for offset, candidate in (("joint", found), ("own", moved(rest))):
        mapped = functional.normalize(candidate(foreign[held]).float(), dim=-1)
        fit, ndcg = score_of_own(mapped, goal, torch.tensor(held))
        tried.append(MapScore(f"{best.kind}, pairs", best.penalty, offset, 1.0, 0.0, fit, ndcg))
    return (moved(slice(None)) if tried[1].fit > tried[0].fit else found), tried, len(held)
