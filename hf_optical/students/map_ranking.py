"""Refinement of a fitted map by ranking: mapped sentences are to rank English sentences as the teacher ranks them.

Least squares spends its effort on the length of the error. What a search needs is the order of the documents, and some
seconds of gradient descent on vectors that were encoded already bring a map closer to it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from hf_optical.losses.ranking import ranking_loss
from hf_optical.losses.temperature import FEWEST, bank_temperature
from hf_optical.students.space_map import LinearMap

STEPS = (50, 100, 150)
"""Numbers of steps that are tried."""
_BATCH, _BANK = 256, 2_000
_RATE_OF_WEIGHT, _RATE_OF_BIAS = 0.03, 0.01  # step of Adam, as a share of a typical entry


def ranked_maps(
    start: LinearMap,
    sources: Tensor,
    targets: Tensor,
    finish: Callable[[Tensor], Tensor],
    *,
    weights: Tensor | None = None,
    steps: tuple[int, ...] = STEPS,
    seed: int = 0,
) -> dict[int, LinearMap]:
    """Refine a map by the ranking term (:func:`~hf_optical.losses.ranking.ranking_loss`) on encoded sentences.

    Every map is the mean of all iterates so far (Polyak and Juditsky 1992, https://doi.org/10.1137/0330046), which
    depends less on the last batches than the last iterate.

    Args:
        start: A fitted map, whose outputs are to have length 1.
        sources: The student's pooled vectors, ``(n, d)``.
        targets: The teacher's unit sentence vectors of the same rows, ``(n, e)``; up to 2,000 different ones are the
            bank.
        finish: The teacher's modules after its pooling, differentiable.
        weights: Shares of the rows in the batches, ``(n,)``; equal ones for ``None``.
        steps: Numbers of steps after which a map is returned.
        seed: Random seed of bank and batches.

    Returns:
        The refined maps by number of steps, float64; none if there are fewer than eight different targets, too few to
        rank.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> english = functional.normalize(torch.randn(200, 8, generator=generator), dim=-1)
        >>> start = LinearMap(torch.eye(8, dtype=torch.float64), torch.zeros(8, dtype=torch.float64))
        >>> mirrored = english * torch.tensor([-1.0, *[1.0] * 7])  # one axis is flipped
        >>> found = ranked_maps(start, mirrored, english, lambda y: y)[150]
        >>> before, after = (torch.cosine_similarity(m(mirrored), english).mean() for m in (start, found))
        >>> bool(after > before)
        True
    """
    generator = torch.Generator().manual_seed(seed)
    sources, targets = sources.float(), functional.normalize(targets.float(), dim=-1)
    # Different ones, because a sentence in the bank twice would take the place of its neighbours in the temperature.
    bank = torch.unique(targets, dim=0)
    if len(bank) < FEWEST:
        return {}
    bank = bank[torch.randperm(len(bank), generator=generator)[:_BANK]]
    temperature = bank_temperature(bank)
    shares = torch.ones(len(sources)) if weights is None else weights
    centre = sources.mean(0)
    weight = start.weight.float().clone().requires_grad_(True)
    shift = start(centre).float().clone().requires_grad_(True)  # what the centre is mapped to
    scale = float(start.weight.pow(2).mean().sqrt())
    optimizer = torch.optim.Adam(
        [
            {"params": [weight], "lr": _RATE_OF_WEIGHT * scale},
            {"params": [shift], "lr": _RATE_OF_BIAS / len(shift) ** 0.5},
        ]
    )
    sums = [torch.zeros_like(part, dtype=torch.float64) for part in (weight, shift)]
    found: dict[int, LinearMap] = {}
    for step in range(1, max(steps) + 1):
        rows = torch.multinomial(shares, _BATCH, replacement=True, generator=generator)
        with torch.enable_grad():
            mapped = finish((sources[rows] - centre) @ weight.T + shift)
            loss = ranking_loss(mapped, targets[rows], bank, temperature)
            # of these two alone: the teacher's modules have weights too
            weight.grad, shift.grad = torch.autograd.grad(loss, (weight, shift))
        optimizer.step()
        for total, part in zip(sums, (weight, shift), strict=True):
            total += part.detach()
        if step in steps:
            mean_weight, mean_shift = (total / step for total in sums)
            found[step] = LinearMap(mean_weight, mean_shift - mean_weight @ centre.double())
    return found
