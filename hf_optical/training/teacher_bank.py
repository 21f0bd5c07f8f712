"""The teacher's vectors of many English sentences, against which rankings are distilled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hf_optical.encoders.teachers import Teacher, TeacherStandIn, is_late_interaction
from hf_optical.errors import InputError

BANK_SIZE = 16_384
"""Sentences of a bank by default: 25 MB at width 384, and some seconds for the teacher to read."""
_CHUNK = 64  # texts whose token vectors a cache gives at once


def teacher_bank(
    teacher: Teacher,
    texts: Sequence[str],
    *,
    size: int = BANK_SIZE,
    seed: int = 0,
    show_progress: bool = False,
    cache: Any = None,
) -> Tensor:
    """Unit sentence vectors of the teacher for :func:`~hf_optical.losses.ranking.ranking_loss`.

    Args:
        teacher: A ``SentenceTransformer``, which reads the texts as queries, or a
            :class:`~hf_optical.teacher_cache.CachedTeacher`: a cache that has all texts is read; else the teacher
            itself reads them, and where that is not at hand, the bank is of the texts that the cache has.
        texts: The English side of the bitext; equal texts are taken once.
        size: At most so many, drawn with ``seed``.
        seed: Of the draw.
        show_progress: A bar.
        cache: A :class:`~hf_optical.evaluation.document_cache.DocumentCache` that keeps the vectors for other runs.

    Returns:
        (N, d), float32, on the CPU.

    Raises:
        InputError: There is no text, or the teacher has no sentence vectors (late interaction).
    """
    from hf_optical.encoders.encoding import encode_texts

    distinct = list(dict.fromkeys(texts))
    if not distinct:
        raise InputError(
            "there is no English text for the bank of the ranking term",
            "give bitext, as a Dataset: a stream is not read beforehand",
            field="objective",
        )
    if len(distinct) > size:
        drawn = np.sort(np.random.default_rng(seed).permutation(len(distinct))[:size])
        distinct = [distinct[place] for place in drawn]
    if is_late_interaction(teacher):
        raise InputError(
            "the term 'rank' compares sentence vectors, which a late-interaction teacher has not",
            "use 'nce', which compares by MaxSim",
            field="objective",
        )
    if isinstance(teacher, TeacherStandIn):
        if (own := teacher.bank(size, seed)) is not None:
            return own
        rows = teacher.reader.find(distinct)
        if teacher.online is None or bool((rows >= 0).all()):
            # In parts: with its sentence vector a text brings those of all its tokens.
            parts = rows[rows >= 0].split(_CHUNK)
            return functional.normalize(torch.cat([teacher.token_view(part).sentence for part in parts]), dim=-1)
        teacher = teacher.online
    read: Any = cache.vectors if cache is not None else encode_texts
    vectors = torch.from_numpy(np.array(read(teacher, distinct, "query", show_progress=show_progress)))
    return functional.normalize(vectors.float(), dim=-1)
