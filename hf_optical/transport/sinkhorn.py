"""Entropic optimal transport by Sinkhorn's scaling, masked and batched."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from hf_optical.transport.solver import TransportSolver, check_count, check_positive

_EXPONENT = 80.0  # exp(-80) is a normal float32; below about -87 `exp` underflows and is 35 to 137 times slower
_KERNEL_EPSILON = 0.03  # from here on, cosine costs (at most 2) keep both the kernel and the scalings in float32
_CHECK_EVERY = 10


@dataclass(frozen=True)
class Sinkhorn(TransportSolver):
    """Sinkhorn's algorithm (Cuturi, NeurIPS 2013): ``min <P, C> - epsilon H(P)``.

    The plan is smooth, and biased: its cost is above the exact one by about 3 % at epsilon 0.05 and 17 % at 0.1 on
    sentences of 8 to 28 tokens, more on longer ones. From epsilon 0.03 on it scales the kernel ``exp(-C / epsilon)``
    with matrix-vector products; below, it works on logarithms, about five times slower.

    Columns (``b``, the teacher) are updated last and are exact to rounding; `solve` reports by how much rows miss.

    Args:
        epsilon: Weight of the entropy, in units of the cost. Default 0.05, for cosine costs.
        iterations: Most iterations. Default 100.
        tolerance: Stop when no pair of the batch misplaces more mass than this (L1 error of the rows), tested every
            10 iterations, each test waiting for a CUDA device. By default all iterations run, without waiting. A
            tolerance that is not met in time is no error: see ``solve(...).violation``.

    Raises:
        InputError: If a setting is not positive; on calling, as `TransportSolver`, or for a cost above
            ``80 * epsilon`` in size where the kernel is used.

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

    def __post_init__(self) -> None:
        check_positive(self, epsilon=self.epsilon)
        check_count(self, iterations=self.iterations)
        if self.tolerance is not None:
            check_positive(self, tolerance=self.tolerance)

    def _cost_limit(self) -> tuple[float, str]:
        if self.epsilon < _KERNEL_EPSILON:
            return super()._cost_limit()
        return _EXPONENT * self.epsilon, "raise epsilon, or divide the cost by its scale"

    def _plan(self, cost: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        if self.epsilon < _KERNEL_EPSILON:
            return self._in_logarithms(cost, a, b)
        return self._on_kernel(cost, a, b)

    def _is_test(self, iteration: int) -> bool:
        return self.tolerance is not None and iteration > 0 and iteration % _CHECK_EVERY == 0

    def _met(self, row_sums: torch.Tensor, a: torch.Tensor) -> bool:
        return self.tolerance is not None and bool((row_sums - a).abs().sum(dim=-1).max() <= self.tolerance)

    def _on_kernel(self, cost: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        pad_a, pad_b = (a == 0).to(a.dtype).unsqueeze(1), (b == 0).to(b.dtype).unsqueeze(1)
        kernel = torch.exp(cost / -self.epsilon).mul_((1 - pad_a).transpose(1, 2)).mul_(1 - pad_b)
        # Both orientations, since products with a row vector from the left are about ten times faster on CPU.
        kernel_t = kernel.transpose(1, 2).clone(memory_format=torch.contiguous_format)
        # Padding gets numerator 1 and denominator 0 + 1: its scaling stays 1, meets a zero kernel, and needs no mask.
        mass_a, mass_b = a.unsqueeze(1) + pad_a, b.unsqueeze(1) + pad_b
        row, column = torch.ones_like(mass_a), torch.ones_like(mass_b)
        for iteration in range(self.iterations):
            reached = torch.baddbmm(pad_a, column, kernel_t)
            if self._is_test(iteration) and self._met(row * reached, mass_a):
                break
            row = mass_a / reached
            column = mass_b / torch.baddbmm(pad_b, row, kernel)
        return kernel.mul_(row.transpose(1, 2)).mul_(column)

    def _in_logarithms(self, cost: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        pads_a, pads_b = a == 0, b == 0
        pads = pads_a.unsqueeze(2) | pads_b.unsqueeze(1)
        # Finite, so that a row of padding gives no NaN; far below every real exponent.
        scores = (cost / -self.epsilon).masked_fill_(pads, -1e9)
        log_a, log_b = a.masked_fill(pads_a, 1.0).log_(), b.masked_fill(pads_b, 1.0).log_()
        row, column = torch.zeros_like(log_a), torch.zeros_like(log_b)
        for iteration in range(self.iterations):
            reached = _log_sum_exp(scores + column.unsqueeze(1), dim=2)
            if self._is_test(iteration) and self._met(torch.exp(row + reached).masked_fill_(pads_a, 0.0), a):
                break
            row = (log_a - reached).masked_fill_(pads_a, 0.0)
            column = (log_b - _log_sum_exp(scores + row.unsqueeze(2), dim=1)).masked_fill_(pads_b, 0.0)
        scores.add_(row.unsqueeze(2)).add_(column.unsqueeze(1))
        plan = scores.clamp_(min=-_EXPONENT).exp_().masked_fill_(pads, 0.0)
        # Sums of large logarithms round at 1e-4; one more scaling makes the columns exact again.
        return plan.mul_((b / plan.sum(dim=1).masked_fill_(pads_b, 1.0)).unsqueeze(1))


def _log_sum_exp(scores: torch.Tensor, dim: int) -> torch.Tensor:
    """`torch.logsumexp` for a tensor that may be overwritten, without its slow underflow."""
    top = scores.amax(dim=dim, keepdim=True)
    return scores.sub_(top).clamp_(min=-_EXPONENT).exp_().sum(dim=dim).log_().add_(top.squeeze(dim))
