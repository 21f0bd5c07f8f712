"""Ranking distillation: the student ranks many English sentences as the teacher ranks them."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def ranking_loss(student: Tensor, teacher: Tensor, bank: Tensor, temperature: float = 0.05) -> Tensor:
    """Compute the divergence of the student's distribution over a bank of English sentences from the teacher's.

    With unit vectors ``s`` (student, of the translation), ``t`` (teacher, of the English) and ``k_j`` (teacher, of the
    bank's sentences), ``KL(softmax_j(t . k_j / T) || softmax_j(s . k_j / T))``. The result is the mean over the batch.
    The bank is the English side of the bitext: thousands of negatives for one matrix product, where a batch has tens.
    Sentences that mean the same, which a contrast with one right answer would push apart, share the teacher's mass.

    Args:
        student: Sentence vectors of the translations, (B, d).
        teacher: The teacher's sentence vectors of their English, (B, d).
        bank: The teacher's sentence vectors of the bank, (N, d).
        temperature: Number by which cosines are divided.

    Returns:
        A scalar, at least 0, in float32 whatever the type of the inputs.

    References:
        - Fang et al.: SEED: Self-supervised Distillation for Visual Representation, ICLR 2021,
          https://arxiv.org/abs/2101.04731, equations 1 to 3 (there with a queue, and between images).

    Example:
        >>> import torch
        >>> bank = torch.eye(3)
        >>> round(float(ranking_loss(bank[:1], bank[:1], bank)), 6)
        0.0
        >>> round(float(ranking_loss(bank[:1], bank[1:2], bank, temperature=0.5)), 3)
        1.361
    """
    keys = functional.normalize(bank.float(), dim=-1)
    wanted = functional.log_softmax(functional.normalize(teacher.float(), dim=-1) @ keys.T / temperature, dim=-1)
    found = functional.log_softmax(functional.normalize(student.float(), dim=-1) @ keys.T / temperature, dim=-1)
    return functional.kl_div(found, wanted, reduction="batchmean", log_target=True)
