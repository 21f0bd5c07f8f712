"""Bank of the teacher's vectors of many English sentences, over which rankings are distilled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hf_optical.encoders.teachers import Teacher, TeacherStandIn, is_late_interaction
from hf_optical.errors import InputError
from hf_optical.training.default_values import BANK_SIZE

_CHUNK = 64  # texts whose token vectors are read from a cache at once


def teacher_bank(
    teacher: Teacher,
    texts: Sequence[str],
    *,
    size: int = BANK_SIZE,
    seed: int = 0,
    show_progress: bool = False,
    cache: Any = None,
) -> Tensor:
    """Compute the teacher's unit sentence vectors for :func:`~hf_optical.losses.ranking.ranking_loss`.

    Args:
        teacher: A ``SentenceTransformer``, which encodes the texts as queries, or a
            :class:`~hf_optical.teacher_cache.CachedTeacher`. A cache that holds all texts is read; otherwise the
            teacher encodes them, and if there is no teacher, the bank consists of the texts that the cache holds.
        texts: The English side of the bitext; duplicates are removed.
        size: Largest number of sentences; more are sampled with ``seed``.
        seed: Random seed of the sample.
        show_progress: Show a progress bar.
        cache: A :class:`~hf_optical.evaluation.document_cache.DocumentCache` that keeps the vectors for other runs.

    Returns:
        (N, d), float32, on the CPU.

    Raises:
        InputError: There is no text, or the teacher has no sentence vectors (late interaction).
    """
    from hf_optical.encoders.encoding import bars_named, encode_texts

    distinct = list(dict.fromkeys(texts))
    if not distinct:
        raise InputError(
            "there is no English text for the bank of the term 'rank'",
            "give bitext as a Dataset; a stream is not read before training",
            field="objective",
        )
    if len(distinct) > size:
        drawn = np.sort(np.random.default_rng(seed).permutation(len(distinct))[:size])
        distinct = [distinct[place] for place in drawn]
    if is_late_interaction(teacher):
        raise InputError(
            "the term 'rank' compares sentence vectors, which a late-interaction teacher does not have",
            "use 'nce', which compares texts by MaxSim",
            field="objective",
        )
    if isinstance(teacher, TeacherStandIn):
        if (own := teacher.bank(size, seed)) is not None:
            return own
        rows = teacher.reader.find(distinct)
        if teacher.online is None or bool((rows >= 0).all()):
            # Read in parts, because the cache also returns the vectors of all tokens of a text.
            parts = rows[rows >= 0].split(_CHUNK)
            return functional.normalize(torch.cat([teacher.token_view(part).sentence for part in parts]), dim=-1)
        teacher = teacher.online
    read: Any = cache.vectors if cache is not None else encode_texts
    with bars_named("bank of English sentences"):
        vectors = torch.from_numpy(np.array(read(teacher, distinct, "query", show_progress=show_progress)))
    return functional.normalize(vectors.float(), dim=-1)
