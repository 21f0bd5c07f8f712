"""Check for NaN and infinity in a model's vectors before they reach a solver or the optimizer; names the rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from hf_optical.encoders.token_view import TokenView
from hf_optical.errors import NonFiniteError


def check_finite(views: Mapping[str, TokenView], tokenizers: Mapping[str, Any]) -> None:
    """Raise an error where vectors are not finite; synchronises with the device once, whatever the number of views.

    Args:
        views: Token views of one batch, keyed by the model that made them; padding is not checked.
        tokenizers: Tokenizer of each view, to decode the texts for the message.

    Raises:
        NonFiniteError: Vectors are not finite; names the model, the rows of the batch and their texts.
    """
    sums = torch.stack([_real(view).sum() * 0 + view.sentence.detach().sum() * 0 for view in views.values()])
    if torch.isfinite(sums.sum()):
        return
    for who, view in views.items():
        bad = ~(torch.isfinite(_real(view)).flatten(1).all(1) & torch.isfinite(view.sentence).all(-1))
        if bad.any():
            raise NonFiniteError(f"the {who}'s vectors are not finite in {_named(view, bad, tokenizers[who])}")


def _real(view: TokenView) -> Tensor:
    return view.tokens.detach().masked_fill(~view.mask.unsqueeze(-1), 0)


def _named(view: TokenView, bad: Tensor, tokenizer: Any) -> str:
    rows = bad.nonzero().flatten().tolist()
    texts = [
        tokenizer.decode(view.input_ids[row][view.mask[row]].tolist(), skip_special_tokens=True) for row in rows[:3]
    ]
    named = "; ".join(f"row {row}: {text[:80]!r}" for row, text in zip(rows, texts, strict=False))
    return f"{len(rows)} row(s) of the batch ({named})"
