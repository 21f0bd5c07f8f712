"""Terms that align tokens in other ways than the transport term, by name."""

from __future__ import annotations

from torch import Tensor

from hf_optical.encoders.token_view import SpecialTokens, TokenView
from hf_optical.losses.centred_transport import centred_transport_loss
from hf_optical.losses.greedy import greedy_alignment
from hf_optical.losses.nearest import nearest_alignment
from hf_optical.losses.plan_labels import PLANS, plan_label_loss
from hf_optical.losses.token_mse import Alignment, token_mse

_ALIGNMENTS: dict[str, Alignment] = {"greedy": greedy_alignment, "nearest": nearest_alignment}

TOKEN_TERMS = frozenset({"centred_ot", *PLANS, *_ALIGNMENTS})
"""Names of these terms."""


def token_term(name: str, student: TokenView, teacher: TokenView, special_tokens: SpecialTokens) -> Tensor:
    """Compute one of `TOKEN_TERMS`, a scalar.

    Args:
        name: Name of the term.
        student: Token view of the translations.
        teacher: Token view of their English, row by row.
        special_tokens: How ``greedy`` and ``nearest`` treat special tokens; the centred terms leave them out.
    """
    if name == "centred_ot":
        return centred_transport_loss(student, teacher)
    if name in PLANS:
        return plan_label_loss(student, teacher, PLANS[name])
    return token_mse(student, teacher, _ALIGNMENTS[name], special_tokens)[0].mean()
