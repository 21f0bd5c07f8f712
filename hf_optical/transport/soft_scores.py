"""Scores between the tokens of a query and of a document by entropic transport, computed from their similarities.

MaxSim assigns each query token to its nearest document token and ignores all others, however near. Entropic transport
distributes it over all near tokens. The one-sided form fixes the mass of query tokens only and is meant for a short
query and a long passage; the balanced form fixes the mass of document tokens too and is meant for two sentences.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hf_optical.errors import InputError
from hf_optical.transport._checks import require
from hf_optical.transport.fused import fused_fits, fused_transport
from hf_optical.transport.marginals import uniform_marginals
from hf_optical.transport.sinkhorn import Sinkhorn
from hf_optical.transport.solver import TransportSolver


def centred_units(tokens: Tensor, mean: Tensor | None) -> Tensor:
    """Subtract a mean vector from token vectors, and scale them to length 1.

    Token vectors of one encoder have a common direction (Ethayarajh, EMNLP 2019), which makes all of them similar. The
    mean over many tokens of a language is an estimate of it.

    Args:
        tokens: Token vectors, (..., d).
        mean: Mean of unit token vectors, (d,); with ``None`` nothing is subtracted.

    Returns:
        Unit vectors, (..., d), float32; a token that equals the mean becomes zero.

    Example:
        >>> centred_units(torch.tensor([[2.0, 1.0], [1.0, 1.0]]), torch.tensor([1.0, 1.0])).tolist()
        [[1.0, 0.0], [0.0, 0.0]]
    """
    tokens = tokens.float()
    return torch.nn.functional.normalize(tokens if mean is None else tokens - mean.float(), dim=-1)


def soft_scores(similarity: Tensor, query_mask: Tensor, document_mask: Tensor, epsilon: float = 0.1) -> Tensor:
    """Compute one-sided entropic transport scores, ``1/n sum_i sum_j softmax_j(s_ij / epsilon) s_ij``.

    The score is ``<P, s>`` of the plan that maximises ``<P, s> + epsilon H(P)`` with mass ``1/n`` on each query token
    and no constraint on document tokens (Kusner et al., ICML 2015, section 4, with entropy). For epsilon towards 0 it
    becomes MaxSim divided by n.

    Args:
        similarity: Cosines, (..., n, m).
        query_mask: Mask of query tokens to use, (..., n), bool, in a shape that broadcasts.
        document_mask: Mask of document tokens to use, (..., m), likewise.
        epsilon: Weight of the entropy, in units of the similarity.

    Returns:
        Scores, (...), between -1 and 1 for cosines.

    Raises:
        InputError: Epsilon is not above zero, or a text has no token.

    Example:
        >>> near = torch.tensor([[[0.9, 0.8, 0.0]]])
        >>> mask = torch.tensor([[True]]), torch.tensor([[True, True, False]])
        >>> [round(float(soft_scores(near, *mask, epsilon)), 3) for epsilon in (0.001, 0.1, 100)]
        [0.9, 0.873, 0.85]
    """
    _check(epsilon, query_mask, document_mask)
    absent = ~document_mask.unsqueeze(-2)
    plan = torch.softmax((similarity / epsilon).masked_fill(absent, -torch.inf), dim=-1)
    fit = (plan * similarity.masked_fill(absent, 0.0)).sum(dim=-1)
    return _mean(fit, query_mask)


def maxsim_scores(similarity: Tensor, query_mask: Tensor, document_mask: Tensor) -> Tensor:
    """Compute MaxSim divided by the number of query tokens, ``1/n sum_i max_j s_ij``; see :func:`soft_scores`.

    Example:
        >>> mask = torch.tensor([[True]]), torch.tensor([[True, True, False]])
        >>> float(maxsim_scores(torch.tensor([[[0.5, 0.25, 1.0]]]), *mask))
        0.5
    """
    _check(1.0, query_mask, document_mask)
    absent = ~document_mask.unsqueeze(-2)
    return _mean(similarity.masked_fill(absent, -torch.inf).amax(dim=-1), query_mask)


def balanced_scores(
    similarity: Tensor, query_mask: Tensor, document_mask: Tensor, epsilon: float = 0.1, iterations: int = 20
) -> Tensor:
    """Compute balanced scores, ``<P, s>`` of Sinkhorn's plan with uniform marginals (Cuturi, NeurIPS 2013).

    Args:
        similarity: Cosines, (B, n, m).
        query_mask: Mask of query tokens to use, (B, n), bool.
        document_mask: Mask of document tokens to use, (B, m), bool.
        epsilon: Weight of the entropy, in units of the similarity.
        iterations: Number of Sinkhorn iterations.

    Returns:
        Scores, (B,), between -1 and 1.

    Raises:
        InputError: As for :func:`soft_scores`.

    Example:
        >>> crossed = torch.tensor([[[0.9, 0.8], [0.9, 0.1]]])
        >>> both = torch.tensor([[True, True]])
        >>> [round(float(score(crossed, both, both)), 2) for score in (balanced_scores, maxsim_scores)]
        [0.84, 0.9]
    """
    _check(epsilon, query_mask, document_mask)
    plan = _solver(epsilon, iterations)(1 - similarity, uniform_marginals(query_mask), uniform_marginals(document_mask))
    return (plan * similarity.masked_fill(plan == 0, 0.0)).sum(dim=(1, 2))


def balanced_token_scores(
    query: Tensor, documents: Tensor, document_mask: Tensor, epsilon: float = 0.1, iterations: int = 20
) -> Tensor:
    """Compute :func:`balanced_scores` of one query and D documents, with the fused kernel if it supports them.

    Args:
        query: Unit token vectors of the query, (n, d).
        documents: Unit token vectors of the documents, (D, m, d).
        document_mask: Mask of document tokens to use, (D, m), bool.
        epsilon: Weight of the entropy, in units of the similarity.
        iterations: Number of Sinkhorn iterations.

    Returns:
        Scores, (D,).
    """
    solver, real = _solver(epsilon, iterations), document_mask.new_ones(len(documents), len(query))
    queries = query.unsqueeze(0).expand(len(documents), -1, -1)
    if not fused_fits(queries, documents, solver):
        return balanced_scores(queries @ documents.transpose(1, 2), real, document_mask, epsilon, iterations)
    _check(epsilon, real, document_mask)
    masses = uniform_marginals(real), uniform_marginals(document_mask)
    cost = fused_transport(queries, documents, *masses, solver, fits=True)
    return 1 - cost


def _solver(epsilon: float, iterations: int) -> TransportSolver:
    return Sinkhorn(epsilon=epsilon, iterations=iterations)


def _mean(fit: Tensor, mask: Tensor) -> Tensor:
    """Average over the query tokens of a mask, from (..., n) to (...)."""
    mask = mask.expand(fit.shape)
    return fit.masked_fill(~mask, 0.0).sum(dim=-1) / mask.sum(dim=-1)


def _check(epsilon: float, query_mask: Tensor, document_mask: Tensor) -> None:
    if not 0 < epsilon < float("inf"):
        raise InputError(f"is {epsilon!r}", "give a number above zero, such as 0.1", field="epsilon")
    for name, mask in (("query", query_mask), ("document", document_mask)):
        require(
            mask.flatten(0, -2).any(dim=-1) if mask.dim() > 1 else mask.any().unsqueeze(0),
            f"a {name} has no token",
            "leave out empty texts",
            field=f"{name}_mask",
        )
