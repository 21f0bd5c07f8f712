"""A NaN or infinity in a model's vectors, found before it reaches a solver or the optimizer, with the rows named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from hf_optical.encoders.token_view import TokenView
from hf_optical.errors import NonFiniteError


def check_finite(views: Mapping[str, TokenView], tokenizers: Mapping[str, Any]) -> None:
    """Stop at vectors that are not finite; a device is waited for once, whatever the number of views.

    Args:
        views: Readings of one batch, by whose they are; what padding holds does not count.
        tokenizers: Of each reading, to name its texts by.

    Raises:
        NonFiniteError: Names the reader, the rows of the batch and their texts.
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
