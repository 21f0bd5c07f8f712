"""Transport term: the distance of the student's tokens from the teacher's under their optimal alignment."""

from __future__ import annotations

import torch
from torch import Tensor

from hf_optical.encoders.token_view import SpecialTokens, content_mask
from hf_optical.losses.token_side import Side, TokenSide
from hf_optical.transport import TransportSolver, uniform_marginals, weighted_marginals
from hf_optical.transport.aligned import aligned_cost
from hf_optical.transport.fused import fused_fits, fused_transport
from hf_optical.transport.special_token_match import SpecialTokenMatch


def transport_loss(
    student: Side,
    teacher: Side,
    solver: TransportSolver,
    special_tokens: SpecialTokens = "match",
    weights: tuple[Tensor | None, Tensor | None] = (None, None),
) -> tuple[Tensor, Tensor]:
    """Compute ``<T*, C>`` per pair, with the plan detached (the distillation loss of OPTICAL, arXiv 2301.12566).

    Args:
        student: Token view of the translations, or a `TokenSide`.
        teacher: Token view of their English, or a `TokenSide`.
        solver: Computes the transport plan.
        special_tokens: ``"match"`` matches special tokens to each other and gives them the share of the loss that they
            have of the tokens; ``"exclude"`` leaves them out; ``"transport"`` transports them like any other token.
        weights: Importance of each token, (B, n) and (B, m); uniform where ``None``.

    Returns:
        The loss per pair, (B,), and the plan, (B, n, m).
    """
    mine, theirs = TokenSide.of(student), TokenSide.of(teacher)
    a, b, ends = _problem(mine, theirs, special_tokens, weights)

    def align(cost: Tensor) -> tuple[Tensor, Tensor]:
        plan = solver(cost, a, b)
        return plan if ends is None else ends.weigh(plan), plan

    return aligned_cost(mine.tokens, theirs.tokens, align, mine.mask, theirs.mask)


def transport_term(
    student: Side,
    teacher: Side,
    solver: TransportSolver,
    special_tokens: SpecialTokens = "match",
    weights: tuple[Tensor | None, Tensor | None] = (None, None),
) -> Tensor:
    """Compute the loss of :func:`transport_loss`, (B,), with the fused kernel where it fits.

    On CUDA, for sentences of up to 128 tokens and the solvers ``IPOT`` and ``Sinkhorn``, one kernel computes cost,
    plan, loss and gradient in the chip's own memory; elsewhere the PyTorch form is used. ``HF_OPTICAL_FUSED=0`` in the
    environment switches the kernel off.
    """
    mine, theirs = TokenSide.of(student), TokenSide.of(teacher)
    if not fused_fits(mine.tokens, theirs.tokens, solver):
        return transport_loss(mine, theirs, solver, special_tokens, weights)[0]
    a, b, ends = _problem(mine, theirs, special_tokens, weights)
    return fused_transport(mine.tokens, theirs.tokens, a, b, solver, ends, fits=True)


def boundary_ends(student: Side, teacher: Side) -> SpecialTokenMatch:
    """Locate the first and last special tokens of each side, and compute their share of the loss."""
    sides = TokenSide.of(student), TokenSide.of(teacher)
    share = (_share(sides[0].special, sides[0].mask) + _share(sides[1].special, sides[1].mask)) / 2
    both = sides[0].special.any(1) & sides[1].special.any(1)
    places = [find(side.special) for find in (first_special, last_special) for side in sides]
    return SpecialTokenMatch(torch.stack(places, dim=1), torch.where(both, share, torch.zeros_like(share)))


def _problem(
    student: TokenSide,
    teacher: TokenSide,
    special_tokens: SpecialTokens,
    weights: tuple[Tensor | None, Tensor | None],
) -> tuple[Tensor, Tensor, SpecialTokenMatch | None]:
    """Compute the marginals of both sides, (B, n) and (B, m), and the special tokens matched outside the transport."""
    a, b = (
        _marginals(content_mask(side.mask, side.special, special_tokens), weight)
        for side, weight in zip((student, teacher), weights, strict=True)
    )
    return a, b, boundary_ends(student, teacher) if special_tokens == "match" else None


def _marginals(mask: Tensor, weights: Tensor | None) -> Tensor:
    return uniform_marginals(mask) if weights is None else weighted_marginals(mask, weights)


def first_special(special: Tensor) -> Tensor:
    """Return the position of each row's first special token, (B,)."""
    return special.int().argmax(dim=1)


def last_special(special: Tensor) -> Tensor:
    """Return the position of each row's last special token, (B,)."""
    return special.shape[1] - 1 - special.flip(1).int().argmax(dim=1)


def _share(special: Tensor, mask: Tensor) -> Tensor:
    return special.sum(1) / mask.sum(1).clamp_min(1)
