"""Triplet loss and InfoNCE that move a word nearer to its translation than to other words; no model is involved."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def hardest_triplet(similarity: Tensor, target: Tensor, negative: Tensor, margin: float) -> Tensor:
    """Compute the triplet loss with the hardest negative: ``max(0, margin - s[i, target] + max_j s[i, j])``.

    Args:
        similarity: Cosine similarities of N words and M candidates, (N, M).
        target: Column of each word's translation, (N,).
        negative: Mask of the candidates that are negatives of each word, (N, M), bool.
        margin: By how much the translation must be nearer, in units of cosine.

    Returns:
        The mean over the words that have a negative; zero if no word has one.

    Example:
        >>> similarity = torch.tensor([[0.5, 0.3, 0.4]])
        >>> hardest_triplet(similarity, torch.tensor([0]), torch.tensor([[False, True, True]]), 0.4).item()
        0.30000001192092896
    """
    positive = similarity.gather(1, target.unsqueeze(1)).squeeze(1)
    hardest = similarity.masked_fill(~negative, -torch.inf).max(dim=1).values
    found = negative.any(dim=1)
    loss = functional.relu(margin - positive + torch.where(found, hardest, positive.detach() - 2 * margin))
    return (loss * found).sum() / found.sum().clamp_min(1)


def info_nce(similarity: Tensor, target: Tensor, negative: Tensor, temperature: float) -> Tensor:
    """Compute InfoNCE over the translation and the negatives, mean over the words.

    Args:
        similarity: As in :func:`hardest_triplet`.
        target: As in :func:`hardest_triplet`.
        negative: As in :func:`hardest_triplet`; other candidates are left out.
        temperature: Number by which similarities are divided.

    Example:
        >>> similarity = torch.zeros(1, 3)
        >>> info_nce(similarity, torch.tensor([0]), torch.tensor([[False, True, False]]), 0.05).item()  # log 2
        0.6931471824645996
    """
    candidates = negative.scatter(1, target.unsqueeze(1), True)
    return functional.cross_entropy((similarity / temperature).masked_fill(~candidates, -torch.inf), target)
