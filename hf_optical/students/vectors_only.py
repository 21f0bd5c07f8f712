"""A student for an index whose model is out of reach: mapped onto the index's vectors, which also foretell English."""

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
from hf_optical.students.map_choice import PENALTIES, MapReport, MapScore, held_out_rows, score_of_own
from hf_optical.students.mapped import IndexRows, as_dense, drawn_pairs, front_of
from hf_optical.students.readings import Front
from hf_optical.students.space_map import LinearMap, Moments, procrustes, ridge

MOST_ROWS = 10_000
"""Rows of the index that are read, at most; each costs the student one reading."""
FEWEST_ROWS = 50
_HELD_OUT_EVERY, _MOST_HELD_OUT = 5, 500


@dataclass
class VectorsOnlyStart:
    """A student on an index's vectors, and what the index's model would say of the bitext's English.

    Attributes:
        student: The student; its vectors are compared with the index's.
        texts: The different English sentences.
        vectors: Theirs, ``(n, d)``, length 1: the index's own where it has the text, else what the map foretells.
        known: How many of them are the index's own.
        bank: Vectors of the documents that were read, ``(N, d)``.
        report: How the map was chosen.
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
    """Map a multilingual encoder onto the vectors of an index, with nothing of the index's model at hand.

    The encoder reads the index's documents, and a map from its vectors to the index's is fitted on them; ridge or
    Procrustes, and how much regularisation, is decided by documents held out. The same map then says where the
    bitext's English would be in the index. What tells the language from English, an offset, is taken off where pairs
    held out are found better without it.

    Args:
        name_or_path: Of a multilingual encoder: Hub id or folder.
        index: Blocks of the index's rows.
        english: The English of the bitext.
        translations: Its translations.
        also: More English, of pairs that are held out of the training, say: no map is fitted on it.
        seed: Random seed of the sampled and the held-out pairs.
        most_rows: Rows of the index to read, at most, from its beginning.
        most_pairs: Pairs by which the offset is decided, at most.

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
    if len(texts) < FEWEST_ROWS:
        raise InputError(
            f"a map onto the index is fitted on its rows, and there are {len(texts)}",
            f"give {FEWEST_ROWS} or more",
            field="index_rows",
        )
    return texts, torch.cat(read), torch.cat(vectors)


def _fit(read: Tensor, vectors: Tensor) -> tuple[LinearMap, list[MapScore]]:
    """The best map by documents held out, fitted on all; scores are of documents finding themselves."""
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
    """The map as it is, or with the language's mean moved onto that of English; by pairs held out."""
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
