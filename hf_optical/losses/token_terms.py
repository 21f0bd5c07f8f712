"""The terms that align tokens in another way than the transport term, by name."""

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
"""Their names."""


def token_term(name: str, student: TokenView, teacher: TokenView, special_tokens: SpecialTokens) -> Tensor:
    """One of `TOKEN_TERMS`, a scalar.

    Args:
        name: Which.
        student: Of the translations.
        teacher: Of their English, row by row.
        special_tokens: What ``greedy`` and ``nearest`` do with special tokens; the centred terms leave them out.
    """
    if name == "centred_ot":
        return centred_transport_loss(student, teacher)
    if name in PLANS:
        return plan_label_loss(student, teacher, PLANS[name])
    sides = [(view.tokens, view.text, view.special) for view in (student, teacher)]
    return token_mse(sides[0], sides[1], _ALIGNMENTS[name], special_tokens)[0].mean()
