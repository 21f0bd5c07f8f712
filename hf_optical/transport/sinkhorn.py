"""Entropic optimal transport by Sinkhorn's algorithm, masked and batched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from hf_optical.errors import InputError
from hf_optical.transport._remaining import Remaining, may_look
from hf_optical.transport.solver import TransportSolver, check_count, check_positive

# exp(-80) is a normal float32; below about -87 `exp` underflows, and is 35 to 137 times slower.
_EXPONENT = 80.0
KERNEL_EPSILON = 0.03
"""Smallest epsilon for which kernel and scalings stay within float32 with cosine costs (at most 2)."""
CHECK_EVERY = 8
"""Iterations between two tests of a tolerance."""
PLAIN = 2
"""Iterations that are not lengthened, because the first ones change scalings by orders of magnitude."""


@dataclass(frozen=True)
class Sinkhorn(TransportSolver):
    """Sinkhorn's algorithm for entropic transport, ``min <P, C> - epsilon H(P)`` (Cuturi, NeurIPS 2013).

    The plan is smooth and biased: its cost exceeds the exact one by about 3 % with epsilon 0.05 and by 17 % with 0.1 on
    sentences of 8 to 28 tokens, and by more on longer ones. From epsilon 0.03 on, the kernel ``exp(-C / epsilon)`` is
    scaled with matrix-vector products. For smaller values logarithms are used, which takes about five times as long.

    Columns (``b``, the teacher) are updated last and are exact up to rounding; `solve` reports the error of the rows.

    Args:
        epsilon: Weight of the entropy, in units of the cost. Default 0.05, for cosine costs.
        iterations: Largest number of iterations. Default 100.
        tolerance: Misplaced mass (L1 error of the rows) at which a pair leaves the batch, tested every 8 iterations;
            its plan does not depend on the other pairs. The PyTorch form does not test it on a GPU, because a test
            would have to wait for the device; the fused kernel (`hf_optical.transport.fused`) stops each pair
            independently. By default all iterations run. They also run if the tolerance is never reached, which is not
            an error: see ``solve(...).violation``.
        relaxation: Factor by which each step is lengthened (Lehmann et al., 2021, arXiv 2012.12562), except the first
            two and the last; 1.7 halves the time on our benchmarks. In [1, 2); above 1 only if the kernel is used.
            Default 1, the published algorithm.

    Raises:
        InputError: A setting is out of its range; when called, as for `TransportSolver`, or for a cost above
            ``80 * epsilon`` in size if the kernel is used.

    Example:
        >>> cost = torch.tensor([[[0.1, 0.9], [0.8, 0.2]]])
        >>> half = torch.tensor([[0.5, 0.5]])
        >>> Sinkhorn(epsilon=0.5)(cost, half, half)
        tensor([[[0.4011, 0.0989],
                 [0.0989, 0.4011]]])
    """

    epsilon: float = 0.05
    iterations: int = 100
    tolerance: float | None = None
    relaxation: float = 1.0

    def __post_init__(self) -> None:
        check_positive(self, epsilon=self.epsilon)
        check_count(self, iterations=self.iterations)
        if self.tolerance is not None:
            check_positive(self, tolerance=self.tolerance)
        if not 1 <= self.relaxation < 2 or (self.relaxation > 1 and self.epsilon < KERNEL_EPSILON):
            raise InputError(
                f"Sinkhorn got relaxation={self.relaxation!r} with epsilon={self.epsilon!r}",
                f"pass a number from 1 to below 2, and 1 for an epsilon below {KERNEL_EPSILON}",
                field="relaxation",
            )

    def _cost_limit(self) -> tuple[float, str]:
        if self.epsilon < KERNEL_EPSILON:
            return super()._cost_limit()
        return _EXPONENT * self.epsilon, "raise epsilon, or divide the cost by its scale"

    def _plan(self, cost: Tensor, a: Tensor, b: Tensor) -> Tensor:
        if self.epsilon < KERNEL_EPSILON:
            return self._in_logarithms(cost, a, b)
        return self._on_kernel(cost, a, b)

    def _is_test(self, iteration: int, tensor: Tensor) -> bool:
        return self.tolerance is not None and iteration > 0 and iteration % CHECK_EVERY == 0 and may_look(tensor)

    def _met(self, row_sums: Tensor, a: Tensor) -> Tensor:
        """Return which pairs meet the row marginals within the tolerance, (b,) booleans."""
        assert self.tolerance is not None
        return (row_sums - a).abs().flatten(1).sum(dim=1) <= self.tolerance

    def _on_kernel(self, cost: Tensor, a: Tensor, b: Tensor) -> Tensor:
        """Compute plans by scaling the kernel ``exp(-C / epsilon)``, with rows (b, 1, n) and columns (b, 1, m)."""
        now = _start(cost, a, b, self.epsilon)
        row, column = torch.ones_like(now.mass_a), torch.ones_like(now.mass_b)
        reached, reached_b = torch.empty_like(row), torch.empty_like(column)
        remaining = Remaining(len(cost))
        for iteration in range(self.iterations):
            torch.baddbmm(now.pad_a, column, now.kernel_t, out=reached)
            if self._is_test(iteration, cost):
                done = self._met(row * reached, now.mass_a)
                if bool(done.all()):
                    break
                if bool(done.any()):
                    left = remaining.drop(done, now.kernel[done] * row[done].transpose(1, 2) * column[done])
                    now, row, reached = now.only(left), row[left], reached[left]
                    column, reached_b = column[left], reached_b[left]
            early = self.relaxation == 1 or iteration < PLAIN
            self._step(row, now.mass_a, reached, plain=early)
            torch.baddbmm(now.pad_b, row, now.kernel, out=reached_b)
            # The columns must be exact before a test and at the end.
            last = (iteration + 1) % CHECK_EVERY == 0 or iteration + 1 == self.iterations
            self._step(column, now.mass_b, reached_b, plain=early or last)
        return remaining.plan(now.kernel.mul_(row.transpose(1, 2)).mul_(column))

    def _step(self, scaling: Tensor, mass: Tensor, reached: Tensor, *, plain: bool) -> None:
        """Move a scaling, in place, to the value that meets its marginal, or beyond it if relaxed."""
        if plain:
            torch.div(mass, reached, out=scaling)
            return
        factor = torch.div(mass, reached.mul_(scaling))
        scaling.mul_(factor.pow_(self.relaxation))

    def _in_logarithms(self, cost: Tensor, a: Tensor, b: Tensor) -> Tensor:
        """Compute plans with logarithms of the scalings, rows (b, n) and columns (b, m)."""
        pads_a, pads_b = a == 0, b == 0
        pads = pads_a.unsqueeze(2) | pads_b.unsqueeze(1)
        # The value is far below every real exponent, and finite, so that a row of padding does not give NaN.
        scores = (cost / -self.epsilon).masked_fill_(pads, -1e9)
        now = _Potentials(scores, pads_a, pads_b, a, b)
        row, column = torch.zeros_like(a), torch.zeros_like(b)
        remaining = Remaining(len(cost))
        for iteration in range(self.iterations):
            reached = _log_sum_exp(now.scores + column.unsqueeze(1), dim=2)
            if self._is_test(iteration, cost):
                done = self._met(torch.exp(row + reached).masked_fill_(now.pads_a, 0.0), now.a)
                if bool(done.all()):
                    break
                if bool(done.any()):
                    left = remaining.drop(done, now.only(done).plan(row[done], column[done]))
                    now, row, column, reached = now.only(left), row[left], column[left], reached[left]
            row = (now.log_a - reached).masked_fill_(now.pads_a, 0.0)
            column = now.log_b - _log_sum_exp(now.scores + row.unsqueeze(2), dim=1)
            column.masked_fill_(now.pads_b, 0.0)
        return remaining.plan(now.plan(row, column))


def _start(cost: Tensor, a: Tensor, b: Tensor, epsilon: float) -> _Scaling:
    pad_a, pad_b = (a == 0).to(a.dtype).unsqueeze(1), (b == 0).to(b.dtype).unsqueeze(1)
    kernel = torch.mul(cost, -1 / epsilon).exp_()
    if not may_look(cost) or bool(pad_a.any() | pad_b.any()):
        kernel.mul_((1 - pad_a).transpose(1, 2)).mul_(1 - pad_b)
    # The kernel is stored in both orientations, because products with a row vector from the left are about ten times
    # faster on a CPU.
    kernel_t = kernel.transpose(1, 2).clone(memory_format=torch.contiguous_format)
    # Padding has numerator 1 and denominator 0 + 1: its scaling stays 1, its kernel is zero, and no mask is needed.
    return _Scaling(kernel, kernel_t, pad_a, pad_b, a.unsqueeze(1) + pad_a, b.unsqueeze(1) + pad_b)


class _Scaling(NamedTuple):
    """State of a batch for the kernel form.

    Kernels are ``(B, n, m)`` and ``(B, m, n)``; masses and marks of padding are ``(B, 1, n)`` or ``(B, 1, m)``.
    """

    kernel: Tensor
    kernel_t: Tensor
    pad_a: Tensor
    pad_b: Tensor
    mass_a: Tensor
    mass_b: Tensor

    def only(self, left: Tensor) -> _Scaling:
        """Return the state of some pairs of the batch."""
        return _Scaling(*(tensor[left] for tensor in self))


class _Potentials(NamedTuple):
    """State of a batch for the form with logarithms: scores, (B, n, m), marks of padding and marginals."""

    scores: Tensor
    pads_a: Tensor
    pads_b: Tensor
    a: Tensor
    b: Tensor

    @property
    def log_a(self) -> Tensor:
        return self.a.masked_fill(self.pads_a, 1.0).log_()

    @property
    def log_b(self) -> Tensor:
        return self.b.masked_fill(self.pads_b, 1.0).log_()

    def only(self, left: Tensor) -> _Potentials:
        """Return the state of some pairs of the batch."""
        return _Potentials(*(tensor[left] for tensor in self))

    def plan(self, row: Tensor, column: Tensor) -> Tensor:
        """Compute the plans, (B, n, m), from the potentials of rows, (B, n), and columns, (B, m)."""
        plan = self.scores + row.unsqueeze(2)
        plan.add_(column.unsqueeze(1)).clamp_(min=-_EXPONENT).exp_()
        plan.masked_fill_(self.pads_a.unsqueeze(2) | self.pads_b.unsqueeze(1), 0.0)
        # Sums of large logarithms have rounding errors of 1e-4; one more scaling makes the columns exact again.
        return plan.mul_((self.b / plan.sum(dim=1).masked_fill_(self.pads_b, 1.0)).unsqueeze(1))


def _log_sum_exp(scores: Tensor, dim: int) -> Tensor:
    """Compute `torch.logsumexp`, overwriting the scores, and without slow underflow."""
    top = scores.amax(dim=dim, keepdim=True)
    return scores.sub_(top).clamp_(min=-_EXPONENT).exp_().sum(dim=dim).log_().add_(top.squeeze(dim))
