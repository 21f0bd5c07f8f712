"""The shapes that are measured on a GPU, tiny ones for a dry run, and token vectors of a shape."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Sizes:
    """What is measured.

    Attributes:
        width: Of a token vector.
        tokens: Of a text, in the timed runs.
        batches: Pairs that are solved at a time.
        checks: Tokens of both sides where accuracy is checked.
        iterations: Of the solvers.
        step: Pairs, and tokens of each, of a training step.
        model: Settings of the encoder that is trained.
        run_batches: Batches of the run over texts of unlike length.
        copied: Bytes that are copied to measure the bandwidth.
    """

    width: int
    tokens: int
    batches: tuple[int, ...]
    checks: tuple[tuple[int, int], ...]
    iterations: tuple[int, ...]
    step: tuple[int, int]
    model: dict[str, int]
    run_batches: int
    copied: int


_BASE = {"vocab_size": 20_000, "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12}
_BASE |= {"intermediate_size": 3072, "max_position_embeddings": 514}
_TINY = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
_TINY |= {"intermediate_size": 32, "max_position_embeddings": 130}
REAL = Sizes(
    768, 64, (32, 256, 4096), ((64, 64), (33, 17), (5, 100), (128, 128)), (10, 50, 100), (256, 64), _BASE, 40, 1 << 31
)
DRY = Sizes(24, 8, (2,), ((7, 5),), (10,), (2, 8), _TINY, 2, 1 << 12)


def tokens(
    pairs: int, n: int, m: int, width: int, device: torch.device, dtype: torch.dtype, *, padded: bool = True
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Fresh random token vectors that share a direction, and masks; padding holds NaN."""
    common = torch.randn(pairs, 1, width, device=device)
    sides, masks = [], []
    for count in (n, m):
        least = max(1, count // 2) if padded else count
        mask = torch.arange(count, device=device) < torch.randint(least, count + 1, (pairs, 1), device=device)
        vectors = (common + torch.randn(pairs, count, width, device=device)).to(dtype)
        sides.append(vectors.masked_fill(~mask.unsqueeze(2), float("nan")))
        masks.append(mask)
    return sides[0], sides[1], masks
