"""Student for an index whose model is not available, mapped onto the index's vectors.

The same map predicts the vectors that English sentences would have in the index.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
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
from hf_optical.students.map_choice import PENALTIES, MapReport, MapScore
from hf_optical.students.mapped import IndexRows, as_dense, drawn_pairs, front_of
from hf_optical.students.own_search import held_out_rows, score_of_own
from hf_optical.students.readings import Front
from hf_optical.students.space_map import LinearMap, Moments, procrustes, ridge

_MOST_ROWS = 10_000  # rows of the index that are used; the student encodes the text of each
_FEWEST_ROWS = 50
_HELD_OUT_EVERY, _MOST_HELD_OUT = 5, 500


@dataclass
class VectorsOnlyStart:
    """Student for an index's vectors, with vectors of the bitext's English sentences in the space of the index.

    Attributes:
        student: The student, whose vectors are compared with the index's.
        texts: The n different English sentences.
        vectors: Their unit vectors, ``(n, d)``, from the index if it has the text, else predicted by the map.
        known: Number of vectors from the index.
        bank: Vectors of the documents that were used, ``(N, d)``.
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
    most_rows: int = _MOST_ROWS,
    most_pairs: int = 2_000,
) -> VectorsOnlyStart:
    """Map a multilingual encoder onto the vectors of an index, without the index's model.

    The encoder encodes the index's documents, and a map from its vectors to the index's vectors is fitted on them. The
    choice between ridge with different penalties and Procrustes is made on held-out documents. The same map predicts
    the vectors of the bitext's English sentences in the index. The offset between the language and English is
    subtracted if this improves the retrieval of held-out pairs.

    Args:
        name_or_path: Hub id or folder of a multilingual encoder.
        index: Blocks of the index's rows.
        english: English sentences of the bitext.
        translations: Their translations.
        also: Further English sentences for which vectors are predicted, for instance of pairs that are held out of the
            training; the map is not fitted on them.
        seed: Random seed of the sampled and the held-out pairs.
        most_rows: Largest number of rows of the index to use, from its beginning.
        most_pairs: Largest number of pairs with which the offset is decided.

    Returns:
        The student, the vectors of the English sentences, and a report.

    Raises:
        InputError: The model cannot be loaded, or the index has fewer than 50 rows.
    """
    complete: Any = load_encoder(name_or_path)
    transformer = transformer_of(complete)
    front = front_of(transformer, complete, complete)
    texts, read, vectors = _read_index(front, index, most_rows)
    started = time.monotonic()
    found, scores = _fit(read, vectors)
    seconds = time.monotonic() - started
    unique = list(dict.fromkeys([*english, *also]))
    pooled = dict(zip(unique, front.read(unique, progress="student reads English").pooled, strict=True))
    some, others = drawn_pairs(english, translations, most_pairs, seed)
    foreign = front.read(others, progress="student reads translations").pooled
    started = time.monotonic()
    mapped, chosen, held = _offset(found, scores, foreign, torch.stack([pooled[text] for text in some]), some, seed)
    scores += chosen
    report = MapReport(max(chosen, key=lambda one: one.fit), scores, len(some), held, len(read), seconds)
    own = dict(zip(texts, vectors, strict=True))
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
    known = sum(text in own for text in unique)
    return VectorsOnlyStart(student.eval(), unique, rows.numpy(), known, vectors.numpy(), report)


def _read_index(front: Front, index: IndexRows, most: int) -> tuple[list[str], Tensor, Tensor]:
    """Return texts of an index, their vectors by the front, (N, d), and their unit vectors in the index, (N, e)."""
    texts: list[str] = []
    read: list[Tensor] = []
    vectors: list[Tensor] = []
    for block, rows in index:
        block = list(islice(block, most - len(texts)))
        texts += block
        read.append(front.read(block, progress=f"student reads documents ({len(texts):,})").pooled)
        vectors.append(functional.normalize(torch.from_numpy(np.array(rows[: len(block)])).float(), dim=-1))
        if len(texts) >= most:
            break
    if len(texts) < _FEWEST_ROWS:
        raise InputError(
            f"a map onto the index is fitted on its rows, and there are only {len(texts)}",
            f"give {_FEWEST_ROWS} or more",
            field="index_rows",
        )
    return texts, torch.cat(read), torch.cat(vectors)


def _fit(read: Tensor, vectors: Tensor) -> tuple[LinearMap, list[MapScore]]:
    """Choose a map on held-out documents, and fit it on all; maps are scored by how well documents find themselves."""
    held = torch.arange(0, len(read), _HELD_OUT_EVERY)[:_MOST_HELD_OUT]
    rest = torch.ones(len(read), dtype=torch.bool)
    rest[held] = False
    part, scores = Moments.of(read[rest], vectors[rest]), []
    for kind, penalty in (*(("ridge", one) for one in PENALTIES), ("procrustes", 0.0)):
        mapped = functional.normalize(_solved(part, kind, penalty)(read[held]).float(), dim=-1)
        scores.append(MapScore(kind, penalty, "joint", 1.0, 0.0, *score_of_own(mapped, vectors, held)))
    best = max(scores, key=lambda one: one.fit)
    return _solved(Moments.of(read, vectors), best.kind, best.penalty), scores


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
