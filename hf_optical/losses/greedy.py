"""Greedy one-to-one token alignment: the most similar pair first, each token used once."""

from __future__ import annotations

import torch
from torch import Tensor


@torch.no_grad()
def greedy_alignment(similarity: Tensor, student_mask: Tensor, teacher_mask: Tensor) -> Tensor:
    """Match the tokens of a pair one to one, the most similar first (Li et al., DR.DECR, NAACL 2022).

    The greedy algorithm repeatedly takes the largest remaining similarity, matches its two tokens and removes both,
    until one side has no token left. A pair that is the largest of its row *and* of its column is always matched, so
    all such pairs are taken at once: the same matching in a few rounds (about the logarithm of the length) for the
    whole batch, in place of one token at a time. Equal similarities go to the first student token, then to the first
    teacher token.

    Args:
        similarity: (B, n, m), finite on real tokens.
        student_mask: Tokens to match, (B, n), bool.
        teacher_mask: (B, m), bool.

    Returns:
        The index of each student token's partner, (B, n), long; -1 for tokens without a partner.

    Example:
        >>> similarity = torch.tensor([[[0.9, 0.8], [0.95, 0.1], [0.5, 0.4]]])
        >>> greedy_alignment(similarity, torch.ones(1, 3).bool(), torch.ones(1, 2).bool()).tolist()
        [[1, 0, -1]]
    """
    partner = torch.full(student_mask.shape, -1, dtype=torch.long, device=similarity.device)
    if 0 in similarity.shape:
        return partner
    places = torch.arange(similarity.shape[1], device=similarity.device)
    closed = torch.finfo(similarity.dtype).min
    left = similarity.masked_fill(~(student_mask.unsqueeze(2) & teacher_mask.unsqueeze(1)), closed)
    for _ in range(min(similarity.shape[1:])):  # at most this many rounds, since each matches at least one pair
        best = left.argmax(dim=2)
        mutual = left.argmax(dim=1).gather(1, best) == places
        mutual &= left.gather(2, best.unsqueeze(2)).squeeze(2) > closed
        if not mutual.any():
            break
        partner = torch.where(mutual, best, partner)
        taken = torch.zeros_like(left, dtype=torch.bool).scatter_(2, best.unsqueeze(2), mutual.unsqueeze(2)).any(dim=1)
        left = left.masked_fill(mutual.unsqueeze(2) | taken.unsqueeze(1), closed)
    return partner
