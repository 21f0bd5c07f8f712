"""Optimal transport between the tokens of a sentence and those of its translation, on batches of tensors.

The package does not depend on models, files or languages. A cost is ``(B, n, m)``, marginals are ``(B, n)`` and ``(B,
m)`` with zeros on padding, and a plan has the shape of the cost.
"""

from __future__ import annotations

from hf_optical.transport.aligned import aligned_cost
from hf_optical.transport.cost import cosine_cost, transport_cost
from hf_optical.transport.duality import lower_bound
from hf_optical.transport.exact import Exact
from hf_optical.transport.fused import fused_fits, fused_transport
from hf_optical.transport.ipot import IPOT
from hf_optical.transport.marginals import (
    document_frequencies,
    idf_marginals,
    idf_weights,
    independent_plan,
    marginal_violation,
    uniform_marginals,
    weighted_marginals,
)
from hf_optical.transport.sinkhorn import Sinkhorn
from hf_optical.transport.solver import Solution, TransportSolver
from hf_optical.transport.special_token_match import SpecialTokenMatch

SOLVERS: dict[str, type[TransportSolver]] = {"ipot": IPOT, "sinkhorn": Sinkhorn, "exact": Exact}
"""Solvers by the name that configurations use."""

__all__ = [
    "IPOT",
    "SOLVERS",
    "Exact",
    "Sinkhorn",
    "Solution",
    "SpecialTokenMatch",
    "TransportSolver",
    "aligned_cost",
    "cosine_cost",
    "document_frequencies",
    "fused_fits",
    "fused_transport",
    "idf_marginals",
    "idf_weights",
    "independent_plan",
    "lower_bound",
    "marginal_violation",
    "transport_cost",
    "uniform_marginals",
    "weighted_marginals",
]
