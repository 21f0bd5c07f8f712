"""What all queries of a student have in common, taken off by an affine last layer.

Losses that pull a student to its teacher's vectors leave its queries with a shared direction (Shigeto et al. 2015,
https://doi.org/10.1007/978-3-319-23528-8_9, on regression and hubs): documents that lie in it are found for every
query. An estimate of it from training pairs is subtracted; the layer is sentence-transformers' own, costs nothing, and
loads anywhere.
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
    """Return what is to be taken off the vectors of queries.

    Args:
        kind: ``"query"``: the mean of the student's vectors. ``"residual"``: the mean of the student's vectors minus
            the teacher's of the same sentences in English, so that what English has in common stays. ``"none"``: zero.
        queries: The student's unit vectors of translations, ``(pairs, width)``.
        english: The teacher's unit vectors of the English, likewise.

    Returns:
        ``(width,)``, float32.

    Raises:
        InputError: For an unknown kind, shapes that differ, or no pair.

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
    """Return unit vectors minus an offset, at unit length again: what `with_offset` computes.

    Example:
        >>> shifted(np.array([[0.6, 0.8]]), np.array([0.6, 0.0])).tolist()
        [[0.0, 1.0]]
    """
    moved = vectors - offset
    return moved / np.maximum(np.linalg.norm(moved, axis=-1, keepdims=True), 1e-12)


def with_offset(student: Any, offset: np.ndarray) -> Any:
    """Return a student whose sentence vectors are ``normalize(normalize(v) - offset)``.

    Args:
        student: A dense student that is compared by cosine; its modules are shared, not copied.
        offset: ``(width,)``; see `offset_of`.

    Returns:
        A new model with sentence-transformers' own modules. Token vectors stay what they are.

    Raises:
        InputError: If the student is a late-interaction model or is not compared by cosine, or the width differs.
    """
    if not isinstance(student, SentenceTransformer):
        raise InputError(
            f"a {type(student).__name__} has no sentence vector to take an offset off",
            "use a dense student",
            field="offset",
        )
    modules: list[nn.Module] = list(student._modules.values())
    ends_normal = isinstance(modules[-1], Normalize)
    if not ends_normal and (student.similarity_fn_name or "cosine") != "cosine":
        raise InputError(
            f"the student compares by {student.similarity_fn_name}, and its vectors have lengths that count",
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
