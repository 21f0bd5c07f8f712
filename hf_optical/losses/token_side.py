"""One side of the losses that align tokens: token vectors, with the masks that say what takes part."""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from torch import Tensor

from hf_optical.encoders.token_view import TokenView


class TokenSide(NamedTuple):
    """Token vectors of one side of a batch, without sentence vectors and ids.

    Attributes:
        tokens: Token vectors, (B, n, d).
        mask: Tokens that take part, (B, n), bool.
        special: Special tokens, (B, n), bool.
    """

    tokens: Tensor
    mask: Tensor
    special: Tensor

    @classmethod
    def of(cls, side: Side) -> TokenSide:
        """Return the side of a token view, without padding and prompt; other sides are returned unchanged."""
        if isinstance(side, TokenView):
            return cls(side.tokens, side.text, side.special)
        return cls(*side)


Side: TypeAlias = "TokenView | TokenSide | tuple[Tensor, Tensor, Tensor]"
"""What the losses that align tokens accept as a side."""
