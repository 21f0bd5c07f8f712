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
_EXPONENT = 40.0  # largest exponent that the kernel accumulates between two rescalings
NEGLIGIBLE = 1e-25
"""Threshold below which entries of the kernel become zero; even multiplied by exp(-20), the largest decrease between
two rescalings, it is a normal float32."""
_MOST_RELAXED = 1.7  # plans diverged with larger values
CHECK_EVERY = 10
"""Iterations between two tests of a tolerance."""


@dataclass(frozen=True)
class IPOT(TransportSolver):
    """Inexact proximal point method for optimal transport (Xie et al., UAI 2020, arXiv 1802.04307, algorithm 1).

    Each outer iteration solves ``min <P, C> + beta KL(P | previous P)`` by one sweep of Sinkhorn scaling, started
    from the previous sweep. The penalty vanishes at the fixed point, so that the plan converges to an exact one,
    without entropic bias: on token vectors of a real encoder, with 8 to 28 tokens per sentence, it costs on average
    0.3 % more than the exact plan after 50 iterations, 0.1 % after 100, and 0.02 % after 200. On padding, mass and
    kernel are zero, and ``u = a / (Q v)`` is computed on real tokens only.

    Columns (``b``, the teacher) are updated last and are exact up to rounding; `solve` reports the error of the rows.
    With a fixed number of iterations there is no synchronisation with a CUDA device.

    With a ``tolerance``, a pair leaves the batch once it misplaces no more mass than that *and* its plan provably
    costs at most ``gap`` more than the exact one. The proof uses weak duality: logarithms of an iteration's scalings
    are potentials of the linear program (`lower_bound`). The resulting bound was within 0.1 % of the exact cost in all
    our checks.

    The default is meant for training, where an error of 1e-2 in the rows does not matter; if the lengths of sentences
    differ, the rows of some pairs still have it after 60 iterations. `near_exact` is meant for plans that are measured:
    on real and synthetic token vectors, of equal and of very different lengths, every pair came within 1 % of the exact
    cost with 1e-3 of the mass misplaced (``benchmarks/solvers.py``). Exceptions were pairs whose exact cost is almost
    zero (a sentence and a copy of it with little noise), and hundreds of tokens with random costs.

    Args:
        beta: Weight of the proximal term, in units of the cost. A larger value converges more slowly and more
            smoothly; below 0.2 the rows still have errors after 50 iterations. Default 0.5, for cosine costs.
        iterations: Largest number of outer iterations. Default 50.
        inner_iterations: Sinkhorn sweeps per outer iteration. Default 1.
        relaxation: Factor by which every sweep of an outer iteration after the first is lengthened (Lehmann et al.,
            2021, arXiv 2012.12562), which speeds up convergence for sentences of different lengths. From 1 to 1.7
            (plans diverged with more); above 1 only with more than one inner iteration. Default 1, the published
            algorithm.
        tolerance: Misplaced mass (L1 error of the rows) below which a pair may leave the batch, tested every 10
            iterations. The PyTorch form does not test it on a GPU, because a test would have to wait for the device.
            By default all iterations run. They also run if the tolerance is never reached, which is not an error.
        gap: Excess over the exact cost, as a share of it, below which a pair may leave the batch. Default 0.01; used
            with a tolerance only.

    Raises:
        InputError: A setting is not positive; when called, as for `TransportSolver`, or for a cost above 4 in size.

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
        """Return a solver whose plans are within 1 % of the exact cost, with 1e-3 of the mass misplaced.

        Example:
            >>> IPOT.near_exact()
            IPOT(beta=0.25, iterations=60, inner_iterations=4, tolerance=0.001, gap=0.01, relaxation=1.6)
        """
        return cls(beta=0.25, iterations=60, inner_iterations=4, tolerance=1e-3, relaxation=1.6)

    @property
    def period(self) -> int:
        """Iterations after which scalings are folded into the kernel, before float32 could overflow or underflow."""
        return max(1, int(_EXPONENT * self.beta / (_COST_LIMIT * self.relaxation)))

    def _cost_limit(self) -> tuple[float, str]:
        return _COST_LIMIT, "pass cosine costs, or divide the cost by its scale"

    def _plan(self, cost: Tensor, a: Tensor, b: Tensor) -> Tensor:
        # The plan is represented as diag(row) kernel diag(column). Each iteration multiplies only the kernel, by
        # exp(-C / beta); the scalings are folded into the kernel every few iterations.
        # Kernel: (b, n, m); row: (b, 1, n); column: (b, 1, m); b of the B pairs remain.
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
        """Run the inner iterations; at their end the column marginals are met if ``exact``."""
        for sweep in range(1, self.inner_iterations + 1):
            # The first sweep is not lengthened: it starts from an extrapolation, and lengthening it too diverges.
            power = 1.0 if sweep == 1 else self.relaxation
            row = _step(row, now.mass_a / torch.baddbmm(now.pad_a, column, now.kernel_t), power)
            power = 1.0 if exact and sweep == self.inner_iterations else power
            column = _step(column, now.mass_b / torch.baddbmm(now.pad_b, row, now.kernel), power)
        return row, column

    def _done(self, now: _Proximal, row: Tensor, column: Tensor, growth: Tensor) -> Tensor:
        """Return which pairs meet their marginals and are provably near the exact cost, (b,) booleans."""
        assert self.tolerance is not None
        reached = torch.baddbmm(now.pad_a, column, now.kernel_t)
        met = (row * reached - now.mass_a).abs().sum(dim=(1, 2)) <= self.tolerance
        if not bool(met.any()):
            return met
        a, b = (now.mass_a - now.pad_a).squeeze(1), (now.mass_b - now.pad_b).squeeze(1)
        # The proximal step's optimality condition is C + beta log(P / previous P) = f + g.
        bound = lower_bound(now.cost, self.beta * growth.squeeze(1).log(), a, b)
        total = torch.baddbmm(torch.zeros_like(now.pad_b), row, now.kernel * now.cost).mul_(column).sum(dim=(1, 2))
        return met & (total <= (1 + self.gap) * bound)


class _Proximal(NamedTuple):
    """State of a batch that is being solved.

    Kernel and decay are stored in both orientations, ``(B, n, m)`` and ``(B, m, n)``, because on a CPU a product with a
    row vector from the left is about ten times faster than one with a column vector from the right. Masses and the
    marks of padding are ``(B, 1, n)`` or ``(B, 1, m)``.
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
        """Return the state of some pairs of the batch."""
        return _Proximal(*(tensor[left] for tensor in self))


def _start(cost: Tensor, a: Tensor, b: Tensor, beta: float) -> _Proximal:
    pad_a, pad_b = (a == 0).to(a.dtype).unsqueeze(1), (b == 0).to(b.dtype).unsqueeze(1)
    real = (1 - pad_a).transpose(1, 2) * (1 - pad_b)
    # Every iteration multiplies the kernel by the decay, so that its rounding error accumulates. On a CPU the
    # exponential is therefore computed in float64.
    decay = torch.exp((cost.double() if cost.device.type == "cpu" else cost) / -beta).to(cost.dtype).mul_(real)
    # These are copies: with a single token on a side, `contiguous` would share memory that is written later.
    decay_t, real_t = (t.transpose(1, 2).clone(memory_format=torch.contiguous_format) for t in (decay, real))
    # Padding has numerator 1 and denominator 0 + 1: its scaling stays 1, its kernel is zero, and no mask is needed.
    mass_a, mass_b = a.unsqueeze(1) + pad_a, b.unsqueeze(1) + pad_b
    return _Proximal(cost, real, real_t, decay, decay_t, pad_a, pad_b, mass_a, mass_b)


def _step(scaling: Tensor, met: Tensor, power: float) -> Tensor:
    """Move a scaling to the one that meets the marginal, or beyond it if the power is above 1."""
    return met if power == 1 else scaling * (met / scaling) ** power


def _fold(kernel: Tensor, left: Tensor, right: Tensor) -> None:
    """Multiply the scalings into the kernel, in place."""
    kernel.mul_(left.transpose(1, 2)).mul_(right)
    # Entries that tend to zero would become subnormal, with which a processor is about five times slower.
    torch.threshold_(kernel, NEGLIGIBLE, 0.0)
