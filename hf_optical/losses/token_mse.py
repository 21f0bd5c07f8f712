"""Squared distance of aligned tokens, the loss of greedy and nearest-token distillation."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from hf_optical.encoders.token_view import SpecialTokens, content_mask
from hf_optical.losses.alignment import first_special, last_special
from hf_optical.losses.token_side import Side, TokenSide
from hf_optical.transport import cosine_cost

Alignment = Callable[[Tensor, Tensor, Tensor], Tensor]


def token_mse(
    student: Side,
    teacher: Side,
    align: Alignment,
    special_tokens: SpecialTokens = "match",
) -> tuple[Tensor, Tensor]:
    """Compute the mean squared distance of each student token to the teacher token aligned with it, per pair.

    Tokens are aligned by cosine; the distance is between the models' vectors as they are, averaged over components
    (like the term ``mse`` and the token term of DR.DECR, Li et al., NAACL 2022). No gradient flows through the
    alignment.

    Args:
        student: Token view of the translations, or a `TokenSide`.
        teacher: Token view of their English, or a `TokenSide`.
        align: `greedy_alignment` or `nearest_alignment`.
        special_tokens: ``"match"`` aligns the first special token with the first, the last with the last, and the
            others among themselves; ``"exclude"`` leaves special tokens out; ``"transport"`` aligns them like any other
            token.

    Returns:
        The loss per pair, (B,), and the index of each student token's partner, (B, n), -1 for tokens without a partner.
    """
    mine, theirs = TokenSide.of(student), TokenSide.of(teacher)
    with torch.no_grad():
        similarity = 1 - cosine_cost(mine.tokens, theirs.tokens, mine.mask, theirs.mask)
        partner = align(
            similarity,
            content_mask(mine.mask, mine.special, special_tokens),
            content_mask(theirs.mask, theirs.special, special_tokens),
        )
        if special_tokens == "match":
            partner = _match_boundaries(partner, mine.special & mine.mask, theirs.special & theirs.mask)
    aligned = partner >= 0
    width = mine.tokens.shape[-1]
    partners = theirs.tokens.gather(1, partner.clamp_min(0).unsqueeze(2).expand(-1, -1, width))
    # Padding is set to zero on both sides before the subtraction, because it may not be finite.
    blank = ~aligned.unsqueeze(2)
    difference = mine.tokens.float().masked_fill(blank, 0) - partners.float().masked_fill(blank, 0)
    return difference.square().sum(dim=(1, 2)) / (aligned.sum(dim=1).clamp_min(1) * width), partner


def _match_boundaries(partner: Tensor, student_special: Tensor, teacher_special: Tensor) -> Tensor:
    """Align the first special token with the first and the last with the last, where both sides have any."""
    both = (student_special.any(1) & teacher_special.any(1)).unsqueeze(1)
    places = torch.arange(student_special.shape[1], device=partner.device)
    # The last is written before the first, so that a single special token is aligned with the first.
    for ours, theirs in (
        (last_special(student_special), last_special(teacher_special)),
        (first_special(student_special), first_special(teacher_special)),
    ):
        partner = torch.where(both & (places == ours.unsqueeze(1)), theirs.unsqueeze(1), partner)
    return partner
