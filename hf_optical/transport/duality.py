"""Lower bound of the cost of all plans, by weak duality, which bounds the excess of a plan over the exact cost."""

from __future__ import annotations

import torch
from torch import Tensor


def lower_bound(cost: Tensor, row_potential: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Compute a lower bound of the cost of every plan with these marginals.

    By weak duality of linear programming, each plan costs at least ``<f, a> + <g, b>`` for all ``f`` and ``g`` with
    ``f_i + g_j <= C_ij``. For any given ``f``, this function uses ``g_j = min_i (C_ij - f_i)`` and then ``f_i = min_j
    (C_ij - g_j)``, which can only raise the bound. The nearer ``f`` is to the optimal potential, the nearer the bound
    is to the optimum.

    Args:
        cost: Costs, ``(B, n, m)``, finite between tokens that have mass.
        row_potential: Potential ``f`` of the rows, ``(B, n)``, in units of the cost; ignored where ``a`` is zero.
        a: Row marginals, ``(B, n)``, zero on padding.
        b: Column marginals, ``(B, m)``, likewise.

    Returns:
        The bound of each pair, ``(B,)``, in units of the cost.

    Example:
        >>> cost = torch.tensor([[[0.1, 0.9], [0.8, 0.2]]])
        >>> half = torch.tensor([[0.5, 0.5]])
        >>> lower_bound(cost, torch.zeros(1, 2), half, half)  # the exact plan costs 0.15
        tensor([0.1500])
    """
    pads_a, pads_b = (a == 0).unsqueeze(2), (b == 0).unsqueeze(1)
    far = torch.finfo(cost.dtype).max / 4  # cost to padding, which thereby never is a minimum
    matrix = cost.masked_fill(pads_a | pads_b, far)
    f = row_potential.unsqueeze(2).masked_fill(pads_a, 0.0)
    g = (matrix - f).amin(dim=1, keepdim=True).masked_fill_(pads_b, 0.0)
    f = (matrix - g).amin(dim=2).masked_fill_(pads_a.squeeze(2), 0.0)
    return (f * a).sum(dim=1) + (g.squeeze(1) * b).sum(dim=1)
