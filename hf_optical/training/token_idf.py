"""Inverse document frequency of every token of a vocabulary, over the training texts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from hf_optical.encoders.teachers import Teacher
from hf_optical.transport import idf_weights

_CHUNK = 1000
MOST_TEXTS = 50_000


def token_idf(model: Teacher, texts: Sequence[str]) -> Tensor:
    """Compute a weight for every token id, so that the marginals give function words and punctuation less mass.

    Args:
        model: The encoder whose tokenizer is used.
        texts: Sentences that this model encodes in training; the first 50,000 are counted.

    Returns:
        (vocabulary,), float32: the inverse document frequency of :func:`hf_optical.transport.idf_weights`; tokens that
        do not occur get the largest weight.

    Example:
        >>> token_idf(teacher, rows["source"]).shape  # doctest: +SKIP
        torch.Size([30522])
    """
    counts = np.zeros(len(model.tokenizer), dtype=np.int64)
    texts = texts[:MOST_TEXTS]
    for start in range(0, len(texts), _CHUNK):
        for ids in model.tokenizer(list(texts[start : start + _CHUNK]), truncation=True)["input_ids"]:
            counts[np.unique(ids)] += 1
    return idf_weights(torch.from_numpy(counts), len(texts))
