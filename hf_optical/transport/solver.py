"""Contract of all transport solvers, with their checks and precision."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import torch

from hf_optical.errors import InputError
from hf_optical.transport._checks import require
from hf_optical.transport.cost import largest_size, transport_cost
from hf_optical.transport.marginals import marginal_violation
from hf_optical.transport.misplaced import look

_MASS_TOLERANCE = 1e-2  # bfloat16 marginals of a few hundred tokens sum to 1 within this


class Solution(NamedTuple):
    """A plan, and how good it is.

    Attributes:
        plan: ``(B, n, m)``, zero on padding.
        cost: ``(B,)``, ``<P, C>``.
        violation: ``(B,)``, mass misplaced: see `marginal_violation`.
    """

    plan: torch.Tensor
    cost: torch.Tensor
    violation: torch.Tensor


@dataclass(frozen=True)
class TransportSolver(ABC):
    """A solver of ``argmin <P, C>`` over plans ``P`` with row sums ``a`` and column sums ``b``, for a batch of pairs.

    Calling one returns the plan; `solve` returns the plan with its cost and the mass that it misplaces. Solvers
    are immutable values, hold no tensors, compute in float32 whatever the autocast (in float64 for a float64 cost),
    and return plans without gradient. Entries of the cost where ``a`` or ``b`` is zero are never read: padding may
    hold anything, NaN included. A subclass defines `_plan`, and `_cost_limit` if it cannot take every finite cost.
    """

    def __call__(self, cost: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """The transport plan of every pair.

        Args:
            cost: ``(B, n, m)`` floating point.
            a: ``(B, n)`` row marginals (student), zero on padding; each row sums to 1.
            b: ``(B, m)`` column marginals (teacher), likewise.

        Returns:
            The plan, ``(B, n, m)``, float32 (float64 for a float64 cost), zero on padding, without gradient.

        Raises:
            InputError: If shapes, types or devices do not fit; if a marginal is negative, NaN, empty or does not
                sum to 1; if the cost of a real pair of tokens is not finite or too large for the solver, or the plan
                not finite, which we saw with costs above those of cosines only. Values on CUDA are checked without
                waiting for the device and stop the run as a device-side assertion.
        """
        with torch.no_grad(), torch.autocast(device_type=cost.device.type, enabled=False):
            clean, rows, columns = self._prepare(cost, a, b)
            plan = self._finite(self._plan(clean, rows, columns))
            look(self, plan, rows, columns)
            return plan

    def solve(self, cost: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> Solution:
        """The plan with its cost and its marginal violation; arguments and errors as in calling the solver.

        Returns:
            A `Solution`; its tensors carry no gradient.
        """
        with torch.no_grad(), torch.autocast(device_type=cost.device.type, enabled=False):
            clean, rows, columns = self._prepare(cost, a, b)
            plan = self._finite(self._plan(clean, rows, columns))
            return Solution(plan, transport_cost(plan, clean), marginal_violation(plan, rows, columns))

    @abstractmethod
    def _plan(self, cost: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """The plan for checked arguments of one type, with zeros in the cost wherever there is padding.

        The cost may be the caller's own and must be left as it is.
        """

    def _cost_limit(self) -> tuple[float, str]:
        """The largest absolute cost of a real pair of tokens, and what to do about a larger one."""
        return math.inf, "look for NaN or overflow in the token embeddings"

    def _finite(self, plan: torch.Tensor) -> torch.Tensor:
        require(
            torch.isfinite(plan.sum(dim=(1, 2))),
            f"{type(self).__name__} ran out of numbers: the plan is not finite",
            "raise beta or epsilon, or divide the cost by its scale",
            field="cost",
        )
        return plan

    def _prepare(
        self, cost: torch.Tensor, a: torch.Tensor, b: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        name = type(self).__name__
        _check_shapes(name, cost, a, b)
        dtype = torch.float64 if cost.dtype == torch.float64 else torch.float32
        a, b = _check_mass(name, "a", a.to(dtype)), _check_mass(name, "b", b.to(dtype))
        clean = cost.detach().to(dtype)
        if cost.device.type != "cpu" or not bool((a > 0).all() & (b > 0).all()):
            clean = torch.where((a > 0).unsqueeze(2) & (b > 0).unsqueeze(1), clean, 0.0)
        limit, remedy = self._cost_limit()
        # NaN where the pair holds a NaN, which fails both comparisons.
        size = largest_size(clean, (1, 2))
        require(
            (size <= limit) & (size < math.inf),
            f"{name} got a cost that is not finite"
            + (f" or beyond {limit:g} in size" if limit < math.inf else "")
            + " between real tokens",
            remedy,
            field="cost",
        )
        return clean, a, b


def _check_shapes(name: str, cost: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> None:
    shapes = f"cost {tuple(cost.shape)}, a {tuple(a.shape)}, b {tuple(b.shape)}"
    if cost.dim() != 3 or a.shape != cost.shape[:2] or b.shape != (*cost.shape[:1], *cost.shape[2:]):
        raise InputError(f"{name} got {shapes}", "pass cost (B, n, m), a (B, n) and b (B, m)", field="cost")
    if cost.numel() == 0:
        raise InputError(f"{name} got an empty batch: {shapes}", "pass at least one pair and one token", field="cost")
    for field, tensor in (("cost", cost), ("a", a), ("b", b)):
        if not tensor.is_floating_point():
            raise InputError(
                f"{name} got {field} of type {tensor.dtype}",
                "pass floating point; uniform_marginals makes marginals of a mask",
                field=field,
            )
        if tensor.device != cost.device:
            raise InputError(
                f"{name} got cost on {cost.device} and {field} on {tensor.device}",
                "move them to one device",
                field=field,
            )


def _check_mass(name: str, field: str, marginal: torch.Tensor) -> torch.Tensor:
    remedy = "make marginals with uniform_marginals or weighted_marginals, from masks with at least one real token"
    require(
        (marginal >= 0).all(dim=1),
        f"{name} got marginals {field} with a negative or NaN entry",
        remedy,
        field=field,
    )
    total = marginal.sum(dim=1)
    require(
        (total - 1.0).abs() <= _MASS_TOLERANCE,
        f"{name} got marginals {field} whose mass is not 1 (0 where every token is padding)",
        remedy,
        field=field,
    )
    # Rounding in half precision would leave the two sides with unequal mass, which no plan can carry.
    return marginal.detach() / total.unsqueeze(1)


def check_positive(solver: TransportSolver, **values: float) -> None:
    """Stop unless every named setting is a finite number above zero.

    Args:
        solver: The solver whose settings they are.
        **values: Settings by name.

    Raises:
        InputError: For the first that is not.
    """
    for field, value in values.items():
        if not (value > 0 and math.isfinite(value)):
            raise InputError(
                f"{type(solver).__name__} got {field}={value!r}", "pass a finite number above zero", field=field
            )


def check_count(solver: TransportSolver, **values: int) -> None:
    """Stop unless every named setting is a whole number of at least 1.

    Args:
        solver: The solver whose settings they are.
        **values: Settings by name.

    Raises:
        InputError: For the first that is not.
    """
    for field, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise InputError(
                f"{type(solver).__name__} got {field}={value!r}", "pass a whole number of at least 1", field=field
            )
