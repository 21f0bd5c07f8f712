"""Base class of all transport solvers, with checks of their arguments."""

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

_MASS_TOLERANCE = 1e-2  # within which bfloat16 marginals of a few hundred tokens sum to 1


class Solution(NamedTuple):
    """Plan with its cost and the mass that it misplaces.

    Attributes:
        plan: Plans, ``(B, n, m)``, zero on padding.
        cost: Cost ``<P, C>`` of each plan, ``(B,)``.
        violation: Misplaced mass of each plan, ``(B,)``, as in `marginal_violation`.
    """

    plan: torch.Tensor
    cost: torch.Tensor
    violation: torch.Tensor


@dataclass(frozen=True)
class TransportSolver(ABC):
    """Solver of ``argmin <P, C>`` over plans ``P`` with row sums ``a`` and column sums ``b``, for a batch of pairs.

    A call returns the plan; `solve` returns the plan with its cost and the mass that it misplaces. Solvers are
    immutable, have no tensors, compute in float32 under any autocast (in float64 for a float64 cost), and return plans
    without gradient. Entries of the cost where ``a`` or ``b`` is zero are never read, so that padding may have any
    content, including NaN. A subclass defines `_plan`, and `_cost_limit` if it does not support every finite cost.
    """

    def __call__(self, cost: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """Compute the transport plan of every pair.

        Args:
            cost: Costs, ``(B, n, m)``, floating point.
            a: Row marginals (student), ``(B, n)``, zero on padding; each row sums to 1.
            b: Column marginals (teacher), ``(B, m)``, likewise.

        Returns:
            Plans, ``(B, n, m)``, float32 (float64 for a float64 cost), zero on padding, without gradient.

        Raises:
            InputError: Shapes, types or devices do not fit; a marginal is negative, NaN, empty or does not sum to 1;
                the cost between real tokens is not finite or too large for the solver; or the plan is not finite, which
                we observed only with costs larger than cosine distances. Values on CUDA are checked without waiting for
                the device, and stop the run with a device-side assertion.
        """
        with torch.no_grad(), torch.autocast(device_type=cost.device.type, enabled=False):
            clean, rows, columns = self._prepare(cost, a, b)
            plan = self._finite(self._plan(clean, rows, columns))
            look(self, plan, rows, columns)
            return plan

    def solve(self, cost: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> Solution:
        """Compute the plan with its cost and its marginal violation; arguments and errors are those of a call.

        Returns:
            The solution, whose tensors have no gradient.
        """
        with torch.no_grad(), torch.autocast(device_type=cost.device.type, enabled=False):
            clean, rows, columns = self._prepare(cost, a, b)
            plan = self._finite(self._plan(clean, rows, columns))
            return Solution(plan, transport_cost(plan, clean), marginal_violation(plan, rows, columns))

    @abstractmethod
    def _plan(self, cost: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        """Compute the plan for checked arguments of one type, with a cost that is zero on padding.

        The cost may be the caller's tensor and must not be changed.
        """

    def _cost_limit(self) -> tuple[float, str]:
        """Return the largest absolute cost that the solver supports, and the remedy for a larger one."""
        return math.inf, "look for NaN or overflow in the token embeddings"

    def _finite(self, plan: torch.Tensor) -> torch.Tensor:
        """Check that a plan is finite, and return it."""
        require(
            torch.isfinite(plan.sum(dim=(1, 2))),
            f"the plan of {type(self).__name__} is not finite, because numbers overflowed",
            "raise beta or epsilon, or divide the cost by its scale",
            field="cost",
        )
        return plan

    def _prepare(
        self, cost: torch.Tensor, a: torch.Tensor, b: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Check the arguments of a call; return the cost with zeros on padding and the normalised marginals."""
        name = type(self).__name__
        _check_shapes(name, cost, a, b)
        dtype = torch.float64 if cost.dtype == torch.float64 else torch.float32
        a, b = _check_mass(name, "a", a.to(dtype)), _check_mass(name, "b", b.to(dtype))
        clean = cost.detach().to(dtype)
        if cost.device.type != "cpu" or not bool((a > 0).all() & (b > 0).all()):
            clean = torch.where((a > 0).unsqueeze(2) & (b > 0).unsqueeze(1), clean, 0.0)
        limit, remedy = self._cost_limit()
        # The size is NaN if the cost has a NaN, and both comparisons are then false.
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
    # After rounding in half precision the two sides could have different mass, for which there is no plan.
    return marginal.detach() / total.unsqueeze(1)


def check_positive(solver: TransportSolver, **values: float) -> None:
    """Check that settings of a solver are finite numbers above zero.

    Args:
        solver: The solver.
        **values: Settings by name.

    Raises:
        InputError: A setting is not; the message names the first one.
    """
    for field, value in values.items():
        if not (value > 0 and math.isfinite(value)):
            raise InputError(
                f"{type(solver).__name__} got {field}={value!r}", "pass a finite number above zero", field=field
            )


def check_count(solver: TransportSolver, **values: int) -> None:
    """Check that settings of a solver are whole numbers of at least 1.

    Args:
        solver: The solver.
        **values: Settings by name.

    Raises:
        InputError: A setting is not; the message names the first one.
    """
    for field, value in values.items():
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise InputError(
                f"{type(solver).__name__} got {field}={value!r}", "pass a whole number of at least 1", field=field
            )
