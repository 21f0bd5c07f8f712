"""A student that starts in the teacher's space: another encoder and a `Dense` fitted in closed form."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from sentence_transformers.base.modules import Dense, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from torch import nn

from hf_optical.encoders.parts import Encoder, assembled
from hf_optical.encoders.teachers import query_prompt
from hf_optical.students.map_choice import MapReport, choose_map
from hf_optical.students.readings import Front, student_front, teacher_front
from hf_optical.students.space_map import LinearMap, Moments

MOST_PAIRS = 5_000
"""Pairs that a map is fitted on, at most; reading them is what takes time."""

IndexRows = Iterable[tuple[Sequence[str], np.ndarray]]
"""Blocks of the index's documents: texts, and their vectors ``(n, d)``;
:class:`~hf_optical.data.vector_rows.VectorRows`, say."""


def mapped_student(
    transformer: Transformer,
    teacher: Encoder,
    english: Sequence[str],
    translations: Sequence[str],
    *,
    complete: Any = None,
    index: IndexRows | None = None,
    seed: int = 0,
    most_pairs: int = MOST_PAIRS,
) -> tuple[Encoder, MapReport]:
    """Attach a fitted map to another encoder's transformer, so that its texts lie where the teacher's are.

    The map is a `Dense` with a bias on the token vectors. It is fitted on the pooled vectors of the pairs' two sides,
    each to the teacher's vector of the English, and the best of several fits is taken
    (:func:`~hf_optical.students.map_choice.choose_map`).

    Args:
        transformer: The encoder's; becomes the student's.
        teacher: The teacher; not changed.
        english: Sentences.
        translations: Theirs.
        complete: The model that the transformer is of, if it is a sentence encoder: its pool and prompts are kept.
        index: The teacher's documents and their vectors, to fit on too; not for a teacher with a head after its pool,
            whose vectors do not say what the pool held.
        seed: Random seed of the sampled and the held-out pairs.
        most_pairs: Pairs to read, at most.

    Returns:
        The student, and how its map was chosen.
    """
    english, translations = drawn_pairs(english, translations, most_pairs, seed)
    front = front_of(transformer, complete, teacher)
    theirs, finish = teacher_front(teacher)
    read_translations = front.read(translations, progress="student reads translations")
    read_english = front.read(english, tokens=True, progress="student reads English")
    target = theirs.read(english, tokens=True, progress="teacher reads English")
    moments = index_moments(front, index, finish(target.pooled[:1]).shape[1]) if index is not None else None
    found, report = choose_map(read_translations, read_english, target, finish, english, index=moments, seed=seed)
    # Tokens as long as the teacher's: cosines do not see it, squared distances of tokens do.
    length = float(target.pooled.norm(dim=1).mean())
    student = assembled(teacher, [transformer, as_dense(found, length)])
    _keep_pool(student, front.pooling)
    if complete is not None and any(complete.prompts.values()):
        student.prompts = dict(complete.prompts)
        student.default_prompt_name = complete.default_prompt_name
    return student, report


def front_of(transformer: Transformer, complete: Any, teacher: Any) -> Front:
    """The front of an encoder under its own prompt and pool; the teacher's, for one that is no sentence encoder."""
    prompted = complete if complete is not None and any(complete.prompts.values()) else teacher
    pools = [module for module in (complete if complete is not None else teacher) if isinstance(module, Pooling)]
    return student_front(transformer, pools[0] if pools else None, query_prompt(prompted), teacher.device)


def drawn_pairs(
    english: Sequence[str], translations: Sequence[str], most: int, seed: int
) -> tuple[list[str], list[str]]:
    """At most so many of the pairs, in their order, drawn in proportion to the length of their English.

    Short phrases are many in some bitexts, and say little of the sentences and passages that are searched for.
    """
    rows: Any = range(len(english))
    if len(english) > most:
        lengths = np.array([len(text) for text in english], dtype=np.float64)
        drawn = np.random.default_rng(seed).choice(len(english), most, replace=False, p=lengths / lengths.sum())
        rows = np.sort(drawn).tolist()
    return [english[row] for row in rows], [translations[row] for row in rows]


def index_moments(front: Front, index: IndexRows, width: int) -> Moments:
    """Moments of an index's documents as the front reads them and their vectors, block by block.

    Args:
        front: Reads the texts, as queries.
        index: The blocks.
        width: Of the index's vectors.
    """
    moments: Moments | None = None
    for texts, vectors in index:
        pooled = front.read(texts).pooled
        if moments is None:
            moments = Moments.empty(pooled.shape[1], width)
        moments.add(pooled, nn.functional.normalize(torch.from_numpy(np.array(vectors)).float(), dim=-1))
    assert moments is not None
    return moments


def as_dense(found: LinearMap, length: float = 1.0) -> Dense:
    """The map as a module on token vectors, its outputs ``length`` times as long."""
    out, width = found.weight.shape
    dense = Dense(width, out, bias=True, activation_function=nn.Identity(), module_input_name="token_embeddings")
    with torch.no_grad():
        dense.linear.weight.copy_(found.weight * length)
        dense.linear.bias.copy_(found.bias * length)
    return dense


def _keep_pool(student: Any, pooling: Pooling) -> None:
    """Pool the mapped tokens as the encoder's own were."""
    for name, module in list(student._modules.items()):
        if isinstance(module, Pooling):
            kept = deepcopy(module)
            kept.pooling_mode, kept.include_prompt = pooling.pooling_mode, pooling.include_prompt
            kept.pooling_output_dimension = kept.embedding_dimension
            student._modules[name] = kept
            return
