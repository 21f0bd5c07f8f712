"""Measures of problems that a falling loss can hide: collapsed vectors and uninformative plans."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["effective_rank", "mean_off_diagonal_cosine", "nearest_is_own", "plan_information"]


def mean_off_diagonal_cosine(vectors: Tensor) -> float:
    """Compute the mean cosine between the vectors of different texts; it is 1 if all texts have the same vector.

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
    """Compute the effective rank of vectors: exp of the entropy of their singular values (Roy and Vetterli, 2007).

    Args:
        vectors: (n, d), n at least 2; their mean is subtracted first, so that a common direction does not count.

    Returns:
        From 1 to ``min(n - 1, d)``; 1.0 if all vectors are equal.

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
    """Compute the share of the student's vectors whose nearest teacher vector (by cosine) is that of their own pair.

    Args:
        student: (n, d).
        teacher: (n, d).
    """
    scores = torch.nn.functional.normalize(student, dim=-1) @ torch.nn.functional.normalize(teacher, dim=-1).T
    return float((scores.argmax(dim=1) == torch.arange(len(scores), device=scores.device)).float().mean())


def plan_information(plan: Tensor) -> Tensor:
    """Compute the mutual information of a plan as a share of its maximum.

    It is 0 for the product of the marginals, and 1 for a plan in which every token of the longer side has one partner.

    Args:
        plan: (B, n, m), non-negative, each with positive mass; zero on padding.

    Returns:
        (B,), in [0, 1]; 1 if a side has a single token, because no other plan exists.

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
