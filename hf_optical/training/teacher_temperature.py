"""Choose the temperature of a training from the teacher's own scores of the English of the bitext."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from sentence_transformers.multi_vector_encoder.scoring.colbert import colbert_scores
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from hf_optical.encoders.encoding import encode_texts
from hf_optical.encoders.teachers import Teacher, TeacherStandIn, is_late_interaction
from hf_optical.losses.temperature import FALLBACK, FEWEST, SHARE, bank_temperature, perplexity_temperature
from hf_optical.training.teacher_bank import teacher_bank

_LATE = 192
SAMPLE = 2048
"""Number of sentences that are scored where there is no bank; encoding them takes a few seconds."""


def teacher_temperature(
    teacher: Teacher,
    texts: Sequence[str],
    *,
    bank: Tensor | None = None,
    share: float = SHARE,
    seed: int = 0,
    cache: Any = None,
) -> float:
    """Find the temperature at which the teacher's perplexity is a given share of the other sentences.

    For dense teachers up to 512 sentences of the bank are compared with the whole bank by cosine. For late interaction
    up to 192 sentences are compared with each other by mean MaxSim, encoded as queries on both sides like in the
    contrastive term.

    Args:
        teacher: A teacher, or a :class:`~hf_optical.teacher_cache.CachedTeacher`.
        texts: The English side of the bitext.
        bank: The teacher's unit vectors, (N, d), if they were computed already; otherwise up to `SAMPLE` texts are
            encoded.
        share: See :func:`~hf_optical.losses.temperature.perplexity_temperature`.
        seed: Random seed of the sample.
        cache: As in :func:`~hf_optical.training.teacher_bank.teacher_bank`.

    Returns:
        The temperature; :data:`~hf_optical.losses.temperature.FALLBACK` if there are fewer than eight distinct
        sentences.
    """
    if is_late_interaction(teacher):
        scores = _late_scores(teacher, texts, seed)
        if len(scores) < FEWEST:
            return FALLBACK
        return perplexity_temperature(scores, torch.arange(len(scores)), share)
    if bank is None:
        bank = teacher_bank(teacher, texts, size=SAMPLE, seed=seed, cache=cache)
    return bank_temperature(bank, share)


def _late_scores(teacher: Teacher, texts: Sequence[str], seed: int) -> Tensor:
    distinct = list(dict.fromkeys(texts))
    if len(distinct) > _LATE:
        drawn = np.sort(np.random.default_rng(seed).permutation(len(distinct))[:_LATE])
        distinct = [distinct[place] for place in drawn]
    if isinstance(teacher, TeacherStandIn):
        rows = teacher.reader.find(distinct)
        if teacher.online is None or bool((rows >= 0).all()):
            view = teacher.token_view(rows[rows >= 0])
            return _mean_maxsim(view.tokens.float(), view.mask)
        teacher = teacher.online
    read: Any = encode_texts(teacher, distinct, "query", interaction="maxsim")  # type: ignore[arg-type]
    vectors = [torch.from_numpy(np.array(tokens)).float() for tokens in read]
    padded = pad_sequence(vectors, batch_first=True)
    lengths = torch.tensor([len(tokens) for tokens in vectors])
    return _mean_maxsim(padded, torch.arange(padded.shape[1]) < lengths.unsqueeze(1))


def _mean_maxsim(tokens: Tensor, mask: Tensor) -> Tensor:
    tokens = tokens.masked_fill(~mask.unsqueeze(-1), 0)
    parts = [
        colbert_scores(part, tokens.unsqueeze(1), queries_mask=seen, documents_mask=mask.unsqueeze(1),
                       length_normalize=True)
        for part, seen in zip(tokens.split(32), mask.split(32), strict=True)
    ]  # fmt: skip
    return torch.cat(parts)
