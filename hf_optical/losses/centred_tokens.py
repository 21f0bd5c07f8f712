"""Content tokens of a batch, as they are or minus the mean of their side: the input of the centred token terms."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor
from torch.nn import functional

from hf_optical.encoders.token_view import TokenView, content_mask


@dataclass(frozen=True)
class ContentTokens:
    """Content tokens of one side of a batch.

    Attributes:
        units: Unit token vectors, (B, n, d), float32; zero at other tokens.
        mask: Content tokens: neither padding nor special tokens nor part of a prompt, (B, n), bool.
        mass: Each token's share of its sentence's mass, in proportion to the norm of its vector, (B, n), which is how
            mean pooling weighs tokens (Word Rotator's Distance, Yokoi et al., EMNLP 2020).
    """

    units: Tensor
    mask: Tensor
    mass: Tensor


def content_tokens(view: TokenView) -> ContentTokens:
    """Return the content tokens of a view."""
    mask = content_mask(view.text, view.special & view.text, "exclude")
    tokens = view.tokens.float().masked_fill(~mask.unsqueeze(-1), 0)  # padding may hold any value, NaN included
    weight = tokens.norm(dim=-1).detach().clamp_min(1e-6) * mask
    return ContentTokens(functional.normalize(tokens, dim=-1), mask, weight / weight.sum(dim=1, keepdim=True))


def centred_tokens(view: TokenView) -> ContentTokens:
    """Return the content tokens minus their mean over the batch, as unit vectors; the mean has a gradient too."""
    found = content_tokens(view)
    mean = found.units.sum(dim=(0, 1)) / found.mask.sum()
    centred = (found.units - mean).masked_fill(~found.mask.unsqueeze(-1), 0)
    return replace(found, units=functional.normalize(centred, dim=-1))
