"""Subtraction of the common part of a student's queries by an affine last layer.

After training with losses that pull a student to its teacher's vectors, its queries have a common direction, and
documents in this direction are found for every query (Shigeto et al. 2015,
https://doi.org/10.1007/978-3-319-23528-8_9, on regression and hubs). An estimate of it from training pairs is
subtracted. The layer is a module of sentence-transformers, takes no noticeable time, and loads without this package.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Dense
from sentence_transformers.sentence_transformer.modules import Normalize
from torch import nn

from hf_optical.encoders.parts import settings_of
from hf_optical.errors import InputError

__all__ = ["OFFSETS", "Offset", "offset_of", "shifted", "with_offset"]

Offset = Literal["none", "query", "residual"]
OFFSETS: tuple[Offset, ...] = ("none", "query", "residual")


def offset_of(kind: Offset, queries: np.ndarray, english: np.ndarray) -> np.ndarray:
    """Estimate the vector to subtract from the vectors of queries.

    Args:
        kind: ``"query"`` for the mean of the student's vectors. ``"residual"`` for the mean difference between the
            student's vectors and the teacher's vectors of the same sentences in English, so that the common part of
            English is kept. ``"none"`` for zero.
        queries: The student's unit vectors of translations, ``(pairs, width)``.
        english: The teacher's unit vectors of the English sentences, ``(pairs, width)``.

    Returns:
        The offset, ``(width,)``, float32.

    Raises:
        InputError: The kind is unknown, the shapes differ, or there are no pairs.

    Example:
        >>> queries, english = np.array([[1.0, 0.0], [0.6, 0.8]]), np.array([[1.0, 0.0], [0.0, 1.0]])
        >>> offset_of("query", queries, english).round(1).tolist(), offset_of("none", queries, english).tolist()
        ([0.800000011920929, 0.4000000059604645], [0.0, 0.0])
    """
    if kind not in OFFSETS:
        raise InputError(f"is {kind!r}", f"use one of {', '.join(OFFSETS)}", field="offset")
    if queries.shape != english.shape or queries.ndim != 2 or not len(queries):
        raise InputError(
            f"queries have the shape {queries.shape} and the English {english.shape}",
            "give the vectors of the two sides of a bitext, row by row",
        )
    taken = {"none": 0.0 * queries, "query": queries, "residual": queries - english}[kind]
    return np.asarray(taken.mean(axis=0), dtype=np.float32)


def shifted(vectors: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Subtract an offset, (d,), from unit vectors, (..., d), and scale them to length 1, as `with_offset` does.

    Example:
        >>> shifted(np.array([[0.6, 0.8]]), np.array([0.6, 0.0])).tolist()
        [[0.0, 1.0]]
    """
    moved = vectors - offset
    return moved / np.maximum(np.linalg.norm(moved, axis=-1, keepdims=True), 1e-12)


def with_offset(student: Any, offset: np.ndarray) -> Any:
    """Return a student whose sentence vectors are ``normalize(normalize(v) - offset)``.

    Args:
        student: A dense student that is compared by cosine; its modules are shared and not copied.
        offset: The offset, ``(width,)``, from `offset_of`.

    Returns:
        A new model with modules of sentence-transformers. Its token vectors are not changed.

    Raises:
        InputError: The student is a late-interaction model or is not compared by cosine, or the width differs.
    """
    if not isinstance(student, SentenceTransformer):
        raise InputError(
            f"a {type(student).__name__} has no sentence vector from which an offset could be subtracted",
            "use a dense student",
            field="offset",
        )
    modules: list[nn.Module] = list(student._modules.values())
    ends_normal = isinstance(modules[-1], Normalize)
    if not ends_normal and (student.similarity_fn_name or "cosine") != "cosine":
        raise InputError(
            f"the student compares by {student.similarity_fn_name}, for which the lengths of vectors matter",
            "set offset to none",
            field="offset",
        )
    width = int(student.get_embedding_dimension() or 0)
    if offset.shape != (width,):
        raise InputError(
            f"the offset has the shape {offset.shape} and vectors have {width} dimensions", "give one each"
        )
    dense = Dense(
        width,
        width,
        bias=True,
        activation_function=nn.Identity(),
        init_weight=torch.eye(width),
        init_bias=-torch.from_numpy(np.asarray(offset, dtype=np.float32)),
    )
    first = modules if ends_normal else [*modules, Normalize()]
    made = SentenceTransformer(modules=[*first, dense, Normalize()], device=str(student.device), **settings_of(student))
    return made.eval()
