"""Removal of new pieces that are aligned too seldom in the bitext for a useful embedding row."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence

import numpy as np
import torch

from hf_optical.encoders.parts import (
    Encoder,
    assembled,
    embeddings_of,
    rebuilt_tokenizer,
    rebuilt_transformer,
    tokenizer_of,
    transformer_of,
)
from hf_optical.students.bitext_init import TRANSPORT, bitext_counts
from hf_optical.students.sequence_counts import SequenceModel
from hf_optical.students.vocabulary import size_of

__all__ = ["supported"]

logger = logging.getLogger(__name__)


def supported(
    student: Encoder,
    teacher: Encoder,
    sources: Sequence[str],
    translations: Sequence[str],
    *,
    least: float,
    alignment: SequenceModel | None = TRANSPORT,
    max_pairs: int = 200_000,
    seed: int = 0,
) -> Encoder:
    """Return a student without the new pieces that are aligned with English less often than ``least``.

    This is for a student that `grow_student` extended from a teacher with a Unigram vocabulary (XLM-R, e5), which
    already reads the language: a word keeps the teacher's pieces, unless the pairs have enough alignments for a piece
    of its own.

    Args:
        student: The extended student, which is not changed.
        teacher: Its teacher.
        sources: English sentences.
        translations: The same sentences in the other language.
        least: Least expected number of alignments of a new piece.
        alignment: Settings of the alignment, as in `bitext_counts`.
        max_pairs: Largest number of pairs to use.
        seed: Random seed of the drawn pairs.

    Returns:
        A new model, or the student itself if no piece is removed.

    Raises:
        InputError: As for `bitext_counts`.
    """
    module, size = transformer_of(student), size_of(_spec(teacher))
    found = bitext_counts(student, teacher, sources, translations, alignment=alignment, max_pairs=max_pairs, seed=seed)
    spec = _spec(student)
    entries = spec["model"]["vocab"]
    support = np.asarray(found.counts.sum(axis=1))[size : len(entries)]
    kept = np.concatenate([np.arange(size), size + np.flatnonzero(support >= least)])
    logger.info("%d of %d new pieces have %g alignments or more", len(kept) - size, len(support), least)
    if len(kept) == len(entries):
        return student
    spec["model"]["vocab"] = [entries[i] for i in kept]
    tokenizer = rebuilt_tokenizer(tokenizer_of(module), spec)
    table = embeddings_of(module.model).weight.detach()[torch.from_numpy(kept)].clone()
    smaller = rebuilt_transformer(module, module.model, tokenizer)
    padded = max(len(kept), embeddings_of(transformer_of(teacher).model).num_embeddings)
    smaller.model.resize_token_embeddings(padded, mean_resizing=False)
    with torch.no_grad():
        embeddings_of(smaller.model).weight[: len(kept)] = table
    return assembled(student, [smaller])


def _spec(model: Encoder) -> dict:
    return json.loads(tokenizer_of(transformer_of(model)).backend_tokenizer.to_str())
