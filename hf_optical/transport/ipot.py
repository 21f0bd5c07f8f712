"""IPOT: the inexact proximal point method for optimal transport, masked and batched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from hf_optical.errors import InputError
from hf_optical.transport._remaining import Remaining, may_look
from hf_optical.transport.duality import lower_bound
from hf_optical.transport.solver import TransportSolver, check_count, check_positive

_COST_LIMIT = 4.0  # cosine cost is at most 2, squared Euclidean distance of unit vectors at most 4
_EXPONENT = 40.0  # largest exponent let into the kernel between two rescalings
NEGLIGIBLE = 1e-25
"""Threshold below which the kernel is zero; times exp(-20), the loss between rescalings, it is still a normal
float32."""
_MOST_RELAXED = 1.7
CHECK_EVERY = 10
"""Iterations between two tests of a tolerance."""


@dataclass(frozen=True)
class IPOT(TransportSolver):
    """The inexact proximal point method (Xie et al., UAI 2020, arXiv 1802.04307, algorithm 1).

    Each outer iteration solves ``min <P, C> + beta KL(P | previous P)`` by one sweep of Sinkhorn scaling, started
    from the previous sweep. The penalty vanishes at the fixed point, so the plan tends to an exact one, with no
    entropic bias: on token vectors of a real encoder, 8 to 28 to a sentence, it costs on average 0.3 % more than the
    exact plan after 50 iterations, 0.1 % after 100, 0.02 % after 200. Padding has no mass and its kernel is zero,
    hence ``u = a / (Q v)`` on real tokens only.

    Columns (``b``, the teacher) are updated last and are exact to rounding; `solve` reports by how much rows miss.
    With a fixed number of iterations there is no synchronisation with a CUDA device.

    With a ``tolerance``, a pair is done, and leaves the batch, when it misplaces no more mass than that *and* its
    plan is proven to cost at most ``gap`` more than the exact one. The proof is weak duality: logarithms of an
    iteration's scalings are potentials of the linear program (`lower_bound`), and the bound they give was within
    0.1 % of the exact cost wherever we looked.

    The default is made for training, where a row off by 1e-2 is of no account: where sentences differ in length, the
    rows of some pairs still are after 60 iterations. `near_exact` is made for plans that are measured: on real and
    made-up token vectors, of equal and of very different lengths, every pair came within 1 % of the exact cost with
    1e-3 of the mass misplaced (``benchmarks/solvers.py``). It did not where the exact cost is next to nothing (a
    sentence and itself with little noise), nor on hundreds of tokens with random costs.

    Args:
        beta: Weight of the proximal term, in units of the cost. Larger is slower and smoother; below 0.2 rows are
            still off after 50 iterations. Default 0.5, for cosine costs.
        iterations: Most outer iterations. Default 50.
        inner_iterations: Sinkhorn sweeps per outer iteration. Default 1.
        relaxation: Each sweep of an outer iteration but its first goes this many times as far (Lehmann et al., 2021,
            arXiv 2012.12562), which is what brings long and short sentences together. From 1 to 1.7 (beyond, plans
            diverged), above 1 with more than one inner iteration only. Default 1, the algorithm as published.
        tolerance: Mass misplaced (L1 error of the rows) at which a pair may leave, tested every 10 iterations. On a
            GPU a test would have to wait for the device: there the PyTorch form runs all iterations. By default all
            iterations run. A tolerance that is not met in time is no error.
        gap: Excess over the exact cost at which a pair may leave, as a share of it. Default 0.01; used with a
            tolerance only.

    Raises:
        InputError: If a setting is not positive; on calling, as `TransportSolver`, or for a cost above 4 in size.

    Example:
        >>> cost = torch.tensor([[[0.1, 0.9], [0.8, 0.2]]])
        >>> half = torch.tensor([[0.5, 0.5]])
        >>> IPOT()(cost, half, half)
        tensor([[[0.5000, 0.0000],
                 [0.0000, 0.5000]]])
    """

    beta: float = 0.5
    iterations: int = 50
    inner_iterations: int = 1
    tolerance: float | None = None
    gap: float = 0.01
    relaxation: float = 1.0

    def __post_init__(self) -> None:
        check_positive(self, beta=self.beta, gap=self.gap)
        check_count(self, iterations=self.iterations, inner_iterations=self.inner_iterations)
        if self.tolerance is not None:
            check_positive(self, tolerance=self.tolerance)
        if not 1 <= self.relaxation <= _MOST_RELAXED or (self.relaxation > 1 and self.inner_iterations == 1):
            raise InputError(
                f"IPOT got relaxation={self.relaxation!r} with inner_iterations={self.inner_iterations!r}",
                f"pass a number from 1 to {_MOST_RELAXED}, and 1 with a single inner iteration",
                field="relaxation",
            )

    @classmethod
    def near_exact(cls) -> IPOT:
        """Return a solver that comes within 1 % of the exact cost at 1e-3 of misplaced mass.

        Example:
            >>> IPOT.near_exact()
            IPOT(beta=0.25, iterations=60, inner_iterations=4, tolerance=0.001, gap=0.01, relaxation=1.6)
        """
        return cls(beta=0.25, iterations=60, inner_iterations=4, tolerance=1e-3, relaxation=1.6)

    @property
    def period(self) -> int:
        """Iterations between two foldings of the scalings into the kernel, before float32 runs out of exponent."""
        return max(1, int(_EXPONENT * self.beta / (_COST_LIMIT * self.relaxation)))

    def _cost_limit(self) -> tuple[float, str]:
        return _COST_LIMIT, "pass cosine costs, or divide the cost by its scale"

    def _plan(self, cost: Tensor, a: Tensor, b: Tensor) -> Tensor:
        # The plan is held as diag(row) kernel diag(column): per iteration only the kernel is multiplied through by
        # exp(-C / beta), and the scalings are folded in every few iterations.
        now = _start(cost, a, b, self.beta)
        ones, ones_a = torch.ones_like(now.pad_b), torch.ones_like(now.pad_a)
        folded, column, row = ones, ones, ones_a
        remaining = Remaining(len(cost))
        for iteration in range(1, self.iterations + 1):
            now.kernel.mul_(now.decay)
            now.kernel_t.mul_(now.decay_t)
            before = row
            test = self.tolerance is not None and iteration % CHECK_EVERY == 0 and may_look(cost)
            row, column = self._sweep(now, row, column, exact=test or iteration == self.iterations)
            if iteration == self.iterations:
                break
            if test:
                done = self._done(now, row, column, row / before)
                if bool(done.all()):
                    break
                if bool(done.any()):
                    left = remaining.drop(done, now.kernel[done] * row[done].transpose(1, 2) * column[done])
                    now, row, column, folded = now.only(left), row[left], column[left], folded[left]
                    ones, ones_a = ones[left], ones_a[left]
            step = column / folded
            if iteration % self.period == 0:
                _fold(now.kernel, row, column)
                _fold(now.kernel_t, column, row)
                folded, column, row = ones, step, ones_a
            else:
                folded, column = column, column * step
        return remaining.plan(now.kernel.mul_(row.transpose(1, 2)).mul_(column))

    def _sweep(self, now: _Proximal, row: Tensor, column: Tensor, *, exact: bool) -> tuple[Tensor, Tensor]:
        """The inner iterations; the columns are met at their end if ``exact``."""
        for sweep in range(1, self.inner_iterations + 1):
            # The first must be plain: it starts from an extrapolation, and lengthening that one too diverges.
            power = 1.0 if sweep == 1 else self.relaxation
            row = _step(row, now.mass_a / torch.baddbmm(now.pad_a, column, now.kernel_t), power)
            power = 1.0 if exact and sweep == self.inner_iterations else power
            column = _step(column, now.mass_b / torch.baddbmm(now.pad_b, row, now.kernel), power)
        return row, column

    def _done(self, now: _Proximal, row: Tensor, column: Tensor, growth: Tensor) -> Tensor:
        """Which pairs meet their marginals and are proven near the exact cost, (b,)."""
        assert self.tolerance is not None
        reached = torch.baddbmm(now.pad_a, column, now.kernel_t)
        met = (row * reached - now.mass_a).abs().sum(dim=(1, 2)) <= self.tolerance
        if not bool(met.any()):
            return met
        a, b = (now.mass_a - now.pad_a).squeeze(1), (now.mass_b - now.pad_b).squeeze(1)
        # In the proximal step's optimality condition, C + beta log(P / previous P) = f + g.
        bound = lower_bound(now.cost, self.beta * growth.squeeze(1).log(), a, b)
        total = torch.baddbmm(torch.zeros_like(now.pad_b), row, now.kernel * now.cost).mul_(column).sum(dim=(1, 2))
        return met & (total <= (1 + self.gap) * bound)


class _Proximal(NamedTuple):
    """State of a batch that is being solved.

    Kernel and decay are kept in both orientations, because on CPU a product with a row vector from the left is about
    ten times faster than one with a column vector from the right. Vectors are ``(B, 1, n)`` or ``(B, 1, m)``.
    """

    cost: Tensor
    kernel: Tensor
    kernel_t: Tensor
    decay: Tensor
    decay_t: Tensor
    pad_a: Tensor
    pad_b: Tensor
    mass_a: Tensor
    mass_b: Tensor

    def only(self, left: Tensor) -> _Proximal:
        return _Proximal(*(tensor[left] for tensor in self))


def _start(cost: Tensor, a: Tensor, b: Tensor, beta: float) -> _Proximal:
    pad_a, pad_b = (a == 0).to(a.dtype).unsqueeze(1), (b == 0).to(b.dtype).unsqueeze(1)
    real = (1 - pad_a).transpose(1, 2) * (1 - pad_b)
    # Every iteration multiplies the kernel by it and by its rounding: on a CPU worth an exponential in float64.
    decay = torch.exp((cost.double() if cost.device.type == "cpu" else cost) / -beta).to(cost.dtype).mul_(real)
    # Copies, not `contiguous`, which with one token on a side would share the memory that is written later.
    decay_t, real_t = (t.transpose(1, 2).clone(memory_format=torch.contiguous_format) for t in (decay, real))
    # Padding gets numerator 1 and denominator 0 + 1: its scaling stays 1, meets a zero kernel, and needs no mask.
    mass_a, mass_b = a.unsqueeze(1) + pad_a, b.unsqueeze(1) + pad_b
    return _Proximal(cost, real, real_t, decay, decay_t, pad_a, pad_b, mass_a, mass_b)


def _step(scaling: Tensor, met: Tensor, power: float) -> Tensor:
    """From a scaling to the one that meets the marginal, or beyond."""
    return met if power == 1 else scaling * (met / scaling) ** power


def _fold(kernel: Tensor, left: Tensor, right: Tensor) -> None:
    kernel.mul_(left.transpose(1, 2)).mul_(right)
    # Entries on their way to zero would become subnormal, which slows the processor down about fivefold.
    torch.threshold_(kernel, NEGLIGIBLE, 0.0)
