"""Content tokens of a batch minus the mean of their side: the input of the centred token terms."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from hf_optical.encoders.token_view import TokenView, content_mask


@dataclass(frozen=True)
class CentredTokens:
    """One side of a batch.

    Attributes:
        units: Unit token vectors less their mean over the batch, unit again, (B, n, d), float32; zero elsewhere.
        mask: Content tokens: real, not special, not of a prompt, (B, n), bool.
        mass: Each token's share of its sentence, by the norm of its vector, (B, n) (Word Rotator's Distance, Yokoi et
            al., EMNLP 2020): what a mean-pooled sentence vector weighs its tokens by.
    """

    units: Tensor
    mask: Tensor
    mass: Tensor


def centred_tokens(view: TokenView) -> CentredTokens:
    """The content tokens of a view, centred on the mean of the batch; differentiable, through the mean too."""
    mask = content_mask(view.text, view.special & view.text, "exclude")
    tokens = view.tokens.float().masked_fill(~mask.unsqueeze(-1), 0)  # padding may hold anything
    norms = tokens.norm(dim=-1)
    units = functional.normalize(tokens, dim=-1)
    mean = units.sum(dim=(0, 1)) / mask.sum()
    centred = functional.normalize((units - mean).masked_fill(~mask.unsqueeze(-1), 0), dim=-1)
    weight = norms.detach().clamp_min(1e-6) * mask
    return CentredTokens(centred, mask, weight / weight.sum(dim=1, keepdim=True))
