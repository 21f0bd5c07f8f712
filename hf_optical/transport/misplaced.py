"""Monitoring of the mass that plans misplace, the only sign of a solver that stops too early."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

from hf_optical.transport._remaining import may_look
from hf_optical.transport.marginals import marginal_violation

__all__ = ["MOST_MISPLACED", "look", "misplaced_shares"]

logger = logging.getLogger(__name__)

MOST_MISPLACED = 0.05
"""Share of a plan's mass, averaged over a batch, that may be misplaced without a warning."""

_calls: Counter[Hashable] = Counter()
_warned: set[Hashable] = set()
_kept: ContextVar[list[float] | None] = ContextVar("kept", default=None)


@contextmanager
def misplaced_shares() -> Iterator[list[float]]:
    """Collect the share of mass that each batch of plans in this context misplaces, on any device, without warnings.

    Example:
        >>> from hf_optical.transport import Sinkhorn
        >>> cost, half = torch.tensor([[[0.0, 1.0], [0.2, 0.9]]]), torch.full((1, 2), 0.5)
        >>> with misplaced_shares() as shares:
        ...     plan = Sinkhorn(epsilon=0.02, iterations=1)(cost, half, half)
        >>> 0.2 < shares[0] < 0.3
        True
    """
    shares: list[float] = []
    token = _kept.set(shares)
    try:
        yield shares
    finally:
        _kept.reset(token)


def look(solver: Hashable, plan: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> None:
    """Compare the plans of a batch with their marginals, and log a warning if too much mass is misplaced.

    Plans are compared in the first, second, fourth, eighth call of a solver, and so on. On other devices than the CPU
    they are compared within :func:`misplaced_shares` only, because reading values waits for the device. A warning is
    logged once per solver, if more than :data:`MOST_MISPLACED` of the mass is misplaced.

    Args:
        solver: The solver; solvers with equal settings count as one.
        plan: Plans, ``(B, n, m)``.
        a: Row marginals that the plans should have, ``(B, n)``.
        b: Column marginals that the plans should have, ``(B, m)``.
    """
    kept = _kept.get()
    if kept is not None:
        kept.append(_share(plan, a, b))
        return
    if solver in _warned or not may_look(plan) or torch.compiler.is_compiling():
        return
    _calls[solver] += 1
    if _calls[solver] & (_calls[solver] - 1):
        return
    share = _share(plan, a, b)
    if share > MOST_MISPLACED:
        _warned.add(solver)
        logger.warning(
            "%s: the plans misplace %.1f %% of the mass (mean of %d pairs; up to %.0f %% is expected), because the "
            "solver stops too early for this cost. Remedy: use more iterations, or a larger epsilon or beta",
            solver, 100 * share, len(plan), 100 * MOST_MISPLACED,
        )  # fmt: skip


def _share(plan: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> float:
    # Misplaced mass is counted twice, where it is missing and where it is in excess.
    return float(marginal_violation(plan, a, b).mean()) / 2
