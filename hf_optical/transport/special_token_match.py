"""Special tokens that are matched to each other instead of being transported."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class SpecialTokenMatch(NamedTuple):
    """First and last special token of each side, and the share of the loss that their match has.

    Attributes:
        places: Token positions, ``(B, 4)``, integers: first of the student, first of the teacher, last of the student,
            last of the teacher.
        share: Share of the loss, ``(B,)``, in [0, 1]; zero for pairs without special tokens on both sides.
    """

    places: Tensor
    share: Tensor

    def weigh(self, plan: Tensor) -> Tensor:
        """Compute the weights of all pairs of tokens from the plan and the match.

        Args:
            plan: Plans, ``(B, n, m)``.

        Returns:
            ``(1 - share) plan`` with ``share / 2`` added at (first, first) and at (last, last), ``(B, n, m)``.

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
