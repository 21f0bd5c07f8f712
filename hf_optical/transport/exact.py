"""Exact transport plans by POT's network simplex."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from hf_optical.errors import InputError
from hf_optical.transport.solver import TransportSolver, check_count


@dataclass(frozen=True)
class Exact(TransportSolver):
    """Solver of the exact problem, pair by pair, by the network simplex of POT (Bonneel et al., 2011).

    It runs on the CPU in float64, on the unpadded part of each pair; from other devices costs are copied to the CPU
    and plans back. A plan is a vertex of the set of optimal plans, with at most ``n + m - 1`` entries that are not
    zero. On a CPU it takes one to two times as long as 50 iterations of `IPOT` (``benchmarks/solvers.py``).

    Args:
        max_iterations: Largest number of pivots per pair. Default 1,000,000; hundreds of tokens need some thousands.

    Raises:
        InputError: A setting is not positive; when called, as for `TransportSolver`, or if a pair needs more pivots.

    Example:
        >>> cost = torch.tensor([[[0.1, 0.9], [0.8, 0.2]]])
        >>> half = torch.tensor([[0.5, 0.5]])
        >>> Exact()(cost, half, half)
        tensor([[[0.5000, 0.0000],
                 [0.0000, 0.5000]]])
    """

    max_iterations: int = 1_000_000

    def __post_init__(self) -> None:
        check_count(self, max_iterations=self.max_iterations)

    def _plan(self, cost: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        import ot  # imported here, because it takes more than half a second and other solvers do not need it

        costs, rows, columns = (tensor.cpu().double().numpy() for tensor in (cost, a, b))
        plan = torch.zeros(cost.shape, dtype=torch.float64)
        for pair, (matrix, mass_a, mass_b) in enumerate(zip(costs, rows, columns, strict=True)):
            i, j = mass_a.nonzero()[0], mass_b.nonzero()[0]
            p, q = mass_a[i] / mass_a[i].sum(), mass_b[j] / mass_b[j].sum()
            part, log = ot.emd(p, q, matrix[i[:, None], j], numItermax=self.max_iterations, log=True)
            if log["warning"] is not None:
                raise InputError(
                    f"the network simplex did not finish pair {pair}: {log['warning']}",
                    "raise max_iterations, or use IPOT",
                    field="max_iterations",
                )
            plan[pair, torch.from_numpy(i)[:, None], torch.from_numpy(j)] = torch.from_numpy(part)
        return plan.to(dtype=cost.dtype, device=cost.device)
