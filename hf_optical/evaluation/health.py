"""Signs that a training goes wrong although its loss looks well: collapse of the vectors, plans that say nothing."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["effective_rank", "mean_off_diagonal_cosine", "nearest_is_own", "plan_information"]


def mean_off_diagonal_cosine(vectors: Tensor) -> float:
    """Mean cosine between the vectors of different texts: 1 where all texts have the same vector.

    Args:
        vectors: (n, d), n at least 2.

    Example:
        >>> mean_off_diagonal_cosine(torch.eye(4))
        0.0
    """
    unit = torch.nn.functional.normalize(vectors.double(), dim=-1)
    count = len(unit)
    return float(((unit @ unit.T).sum() - (unit * unit).sum()) / (count * (count - 1)))


def effective_rank(vectors: Tensor) -> float:
    """Effective rank of vectors: exp of the entropy of their singular values (Roy and Vetterli, 2007).

    Args:
        vectors: (n, d), n at least 2; their mean is taken away first, so that a common direction does not count.

    Returns:
        From 1 to ``min(n - 1, d)``; 1.0 also where all vectors are equal.

    Example:
        >>> round(effective_rank(torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])), 6)
        2.0
    """
    centred = vectors.double() - vectors.double().mean(dim=0)
    values = torch.linalg.svdvals(centred)
    if float(values.sum()) <= 1e-12 * max(1.0, float(vectors.abs().max())):
        return 1.0
    share = values / values.sum()
    share = share[share > 0]
    return float(torch.exp(-(share * share.log()).sum()))


def nearest_is_own(student: Tensor, teacher: Tensor) -> float:
    """Share of the student's vectors whose nearest teacher vector (cosine) is that of their own pair.

    Args:
        student: (n, d).
        teacher: (n, d).
    """
    scores = torch.nn.functional.normalize(student, dim=-1) @ torch.nn.functional.normalize(teacher, dim=-1).T
    return float((scores.argmax(dim=1) == torch.arange(len(scores), device=scores.device)).float().mean())


def plan_information(plan: Tensor) -> Tensor:
    """Mutual information of a plan as a share of the most it could have.

    0 for the product of its marginals; 1 for a plan in which every token of the side with more of them has one partner.

    Args:
        plan: (B, n, m), not negative, each of positive mass; zero on padding.

    Returns:
        (B,), in [0, 1]; 1 where a side has a single token, for no other plan exists.

    Example:
        >>> plan_information(torch.stack([torch.full((2, 2), 0.25), torch.eye(2) / 2])).tolist()
        [0.0, 1.0]
    """
    mass = plan.double() / plan.double().sum(dim=(1, 2), keepdim=True)
    rows, columns = mass.sum(2), mass.sum(1)
    of_rows, of_columns, of_both = _entropy(rows), _entropy(columns), _entropy(mass.flatten(1))
    most = torch.minimum(of_rows, of_columns)
    information = (of_rows + of_columns - of_both).clamp_min(0)
    return torch.where(most > 1e-9, (information / most.clamp_min(1e-9)).clamp(max=1), torch.ones_like(most))


def _entropy(mass: Tensor) -> Tensor:
    return -torch.xlogy(mass, mass).sum(dim=-1)
