"""Unbalanced entropic transport, in which mass without a counterpart need not be transported."""

from __future__ import annotations

import torch
from torch import Tensor

from hf_optical.errors import InputError


@torch.no_grad()
def unbalanced_plan(
    cost: Tensor, a: Tensor, b: Tensor, epsilon: float = 0.1, reach: float = 0.5, iterations: int = 50
) -> Tensor:
    """Compute plans whose marginals may deviate from ``a`` and ``b`` at a cost.

    ``argmin <P, C> + epsilon KL(P | a b^T) + reach (KL(P 1 | a) + KL(P^T 1 | b))`` is computed by scaling (Chizat et
    al., Mathematics of Computation 2018). A token whose nearest counterpart costs more than about ``reach`` loses its
    mass, as words of a sentence may have no counterpart in the translation (OTAlign, Arase et al., ACL 2023).

    Args:
        cost: Costs, (B, n, m); entries where ``a`` or ``b`` is zero are not read.
        a: Row marginals, (B, n), zero on padding.
        b: Column marginals, (B, m), likewise.
        epsilon: Weight of the entropy, in units of the cost, at least 0.05 (for cosine costs, which are at most 2).
        reach: Weight of the deviation from the marginals, in units of the cost. Towards infinity the plan becomes
            Sinkhorn's.
        iterations: Number of iterations.

    Returns:
        Plans, (B, n, m), float32, zero on padding, without gradient; the mass of each is at most about 1.

    Raises:
        InputError: Epsilon is below 0.05, reach is not above zero, or one of them is not finite.

    Example:
        >>> half, cost = torch.tensor([[0.5, 0.5]]), torch.tensor([[[0.0, 2.0], [2.0, 2.0]]])
        >>> unbalanced_plan(cost, half, half, epsilon=0.05, reach=0.3).round(decimals=2)
        tensor([[[0.4700, 0.0000],
                 [0.0000, 0.0200]]])
    """
    for name, value, least in (("epsilon", epsilon, 0.05), ("reach", reach, 0.0)):
        if not (value >= least and 0 < value < float("inf")):
            remedy = f"give a finite number of at least {least}" if least else "give a finite number above 0"
            raise InputError(f"is {value!r}", remedy, field=name)
    a, b = a.float(), b.float()
    real = (a > 0).unsqueeze(2) & (b > 0).unsqueeze(1)
    kernel = torch.where(real, torch.exp(-cost.detach().float() / epsilon), 0.0)
    kernel = kernel * a.unsqueeze(2) * b.unsqueeze(1)
    power = reach / (reach + epsilon)
    u, v = torch.ones_like(a), torch.ones_like(b)
    for _ in range(iterations):
        u = _scaled(a, torch.bmm(kernel, v.unsqueeze(2)).squeeze(2), power)
        v = _scaled(b, torch.bmm(kernel.transpose(1, 2), u.unsqueeze(2)).squeeze(2), power)
    return u.unsqueeze(2) * kernel * v.unsqueeze(1)


def _scaled(mass: Tensor, reached: Tensor, power: float) -> Tensor:
    return torch.where(mass > 0, mass / torch.where(reached > 0, reached, 1.0), 0.0) ** power
