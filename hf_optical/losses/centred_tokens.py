"""Content tokens of a batch minus the mean of their side: the input of the centred token terms."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from hf_optical.encoders.token_view import TokenView, content_mask


@dataclass(frozen=True)
class CentredTokens:
    """Centred content tokens of one side of a batch.

    Attributes:
        units: Unit token vectors minus their mean over the batch, normalised again, (B, n, d), float32; zero at other
            tokens.
        mask: Content tokens: neither padding nor special tokens nor part of a prompt, (B, n), bool.
        mass: Each token's share of its sentence's mass, in proportion to the norm of its vector, (B, n), which is how
            mean pooling weighs tokens (Word Rotator's Distance, Yokoi et al., EMNLP 2020).
    """

    units: Tensor
    mask: Tensor
    mass: Tensor


def centred_tokens(view: TokenView) -> CentredTokens:
    """Return the content tokens of a view, centred on the mean of the batch; gradients flow through the mean too."""
    mask = content_mask(view.text, view.special & view.text, "exclude")
    tokens = view.tokens.float().masked_fill(~mask.unsqueeze(-1), 0)  # padding may hold any value, NaN included
    norms = tokens.norm(dim=-1)
    units = functional.normalize(tokens, dim=-1)
    mean = units.sum(dim=(0, 1)) / mask.sum()
    centred = functional.normalize((units - mean).masked_fill(~mask.unsqueeze(-1), 0), dim=-1)
    weight = norms.detach().clamp_min(1e-6) * mask
    return CentredTokens(centred, mask, weight / weight.sum(dim=1, keepdim=True))
