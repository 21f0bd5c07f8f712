"""Special tokens that are matched to each other instead of being transported."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class SpecialTokenMatch(NamedTuple):
    """The first and the last special token of each side, and the share of the loss that matching them has.

    Attributes:
        places: ``(B, 4)`` integers: first of the student, first of the teacher, last of the student, last of the
            teacher.
        share: ``(B,)`` in [0, 1]; zero for pairs without special tokens on both sides.
    """

    places: Tensor
    share: Tensor

    def weigh(self, plan: Tensor) -> Tensor:
        """Weights of the pairs of tokens: the plan, and half of the share on each match.

        Args:
            plan: ``(B, n, m)``.

        Returns:
            ``(B, n, m)``: ``(1 - share) plan``, with ``share / 2`` added at (first, first) and at (last, last).

        Example:
            >>> ends = SpecialTokenMatch(torch.tensor([[0, 0, 1, 2]]), torch.tensor([0.5]))
            >>> ends.weigh(torch.full((1, 2, 3), 1 / 6))
            tensor([[[0.3333, 0.0833, 0.0833],
                     [0.0833, 0.0833, 0.3333]]])
        """
        share = self.share.to(plan.dtype)
        weights = plan * (1 - share)[:, None, None]
        pairs = torch.arange(len(plan), device=plan.device)
        for row, column in (self.places[:, :2].unbind(1), self.places[:, 2:].unbind(1)):
            weights.index_put_((pairs, row, column), share / 2, accumulate=True)
        return weights
