"""Nearest-token alignment: every student token goes to its most similar teacher token; several may share one."""

from __future__ import annotations

import torch
from torch import Tensor


@torch.no_grad()
def nearest_alignment(similarity: Tensor, student_mask: Tensor, teacher_mask: Tensor) -> Tensor:
    """Find the most similar teacher token of each student token; of equally similar ones the first.

    Optimal transport becomes this alignment when the marginal of the teacher's tokens is dropped (the relaxation of
    Kusner et al., From Word Embeddings To Document Distances, ICML 2015, section 4).

    Args:
        similarity: (B, n, m), finite on real tokens.
        student_mask: Tokens to match, (B, n), bool.
        teacher_mask: (B, m), bool.

    Returns:
        The index of each student token's partner, (B, n), long; -1 for tokens without a partner.

    Example:
        >>> similarity = torch.tensor([[[0.9, 0.8], [0.95, 0.1], [0.5, 0.4]]])
        >>> nearest_alignment(similarity, torch.tensor([[True, True, False]]), torch.ones(1, 2).bool()).tolist()
        [[0, 0, -1]]
    """
    none = torch.full(student_mask.shape, -1, dtype=torch.long, device=similarity.device)
    if 0 in similarity.shape:
        return none
    closed = torch.finfo(similarity.dtype).min
    best = similarity.masked_fill(~teacher_mask.unsqueeze(1), closed).argmax(dim=2)
    return torch.where(student_mask & teacher_mask.any(dim=1, keepdim=True), best, none)
