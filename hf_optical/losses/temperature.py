"""Choose the temperature at which a teacher's distribution over sentences has a given perplexity."""

from __future__ import annotations

import logging
import math

import torch
from torch import Tensor

from hf_optical.errors import InputError, NonFiniteError

logger = logging.getLogger(__name__)

SHARE = 0.25
"""Default perplexity of the teacher's distribution, as a share of the number of sentences in the bank."""
FALLBACK = 0.05
"""Temperature where the teacher's scores are unknown; it suits teachers whose cosines fill the range from 0 to 1."""
_LOWEST, _HIGHEST = 1e-5, 1e3  # search range, in units of the range of the scores
_SAME = 1e-3  # differences of scores that are not counted, in the same units; half precision is that coarse near 1
_ROWS = 512
FEWEST = 8
"""Smallest number of sentences from which a perplexity is measured."""


def perplexity_temperature(scores: Tensor, own: Tensor, share: float = SHARE) -> float:
    """Find the temperature at which a teacher's distributions over a bank have a given mean perplexity, as in t-SNE.

    A teacher whose cosines lie between .7 and 1 needs another temperature than one whose cosines lie between 0 and 1:
    at one fixed value either the distribution of the first is nearly flat and carries little information, or that of
    the second puts all its mass on one sentence. The perplexity ``exp(H)`` of ``softmax(scores / T)`` says over how
    many sentences a distribution spreads, whatever the range of the scores. As in t-SNE a sentence does not count as
    its own neighbour. Unlike there, one temperature serves all rows, the one at which the mean entropy is the logarithm
    of the perplexity wanted, found by bisection, because the entropy rises with the temperature. The perplexity is a
    share of the bank and not a number of neighbours, because the whole ranking is distilled, distant sentences
    included; the temperature therefore hardly depends on the size of the bank.

    Where a share of the bank as large as the one wanted repeats the nearest sentence (scores within a thousandth of
    their range), no temperature spreads the distribution over that share of *different* sentences: the bisection would
    end at a temperature that ranks the rounding errors among the repetitions and sees nothing else. The temperature is
    then ``std / sqrt(2 log(1 / share))``, with the standard deviation of the scores, and a warning says so. Scores with
    a normal distribution have the perplexity wanted at exactly this temperature if there are many of them, because the
    mean entropy is then ``log N - std^2 / 2 T^2``; it follows the range of the scores as the bisection does, and is .03
    where that gives .03 for random directions in 384 dimensions.

    Args:
        scores: The teacher's scores of some sentences against a bank of N sentences, (n, N), any float type.
        own: Column of each row's own sentence, (n,); -1 where it is not in the bank.
        share: Target perplexity as a share of the other sentences, between 0 and 1.

    Returns:
        The temperature, rounded to three significant digits.

    Raises:
        InputError: The bank has fewer than eight sentences, or all scores are equal.
        NonFiniteError: A score is NaN or infinite.

    References:
        - van der Maaten, Hinton: Visualizing Data using t-SNE, JMLR 9 (2008), section 2, equation of the perplexity.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> scores = torch.randn(50, 200, generator=generator).clamp(-3, 3) / 3
        >>> wide = perplexity_temperature(scores, torch.arange(50))
        >>> round(perplexity_temperature(0.9 + 0.1 * scores, torch.arange(50)) / wide, 2)  # a tenth of the range
        0.1
    """
    if not 0 < share < 1:
        raise InputError(f"is {share}", "give a number between 0 and 1", field="share")
    rows, sentences = scores.shape
    if not torch.isfinite(scores).all():
        raise NonFiniteError("the teacher's scores of its own sentences are not finite: its weights are broken")
    if not rows or sentences < FEWEST:
        raise InputError(
            f"{rows} x {sentences} scores are too few to choose a temperature by",
            f"give a bank of {FEWEST} sentences or more, or a temperature",
            field="temperature",
        )
    values = scores.double().clone()
    inside = (own >= 0).nonzero().flatten().to(values.device)
    values[inside, own.to(values.device)[inside]] = -torch.inf
    rest = values.isinf()
    spread = float((values.amax(dim=1) - values.masked_fill(rest, torch.inf).amin(dim=1)).amax())
    if spread <= 1e-9 * max(1.0, float(scores.abs().amax())):
        raise InputError(
            "the teacher gives all sentences the same score",
            "use a trained teacher, or give a temperature",
            field="temperature",
        )
    wanted = math.log(max(share * (sentences - 1), 1.01))
    repeated = float((values >= values.amax(dim=1, keepdim=True) - _SAME * spread).sum(dim=1).log().mean())
    if repeated >= wanted:
        temperature = float(f"{_deviation(values) / math.sqrt(2 * math.log(1 / share)):.3g}")
        logger.warning(
            "The teacher gives about %d of %d sentences the same score as the nearest one, and its ranking should "
            "spread over %d: sentences are repeated, or the teacher scarcely tells them apart. The temperature %g is "
            "taken from the standard deviation of the scores. Remedy: remove the repetitions, or "
            "give --temperature",
            round(math.exp(repeated)),
            sentences - 1,
            round(math.exp(wanted)),
            temperature,
        )
        return temperature
    low, high = math.log(_LOWEST * spread), math.log(_HIGHEST * spread)
    for _ in range(60):
        middle = (low + high) / 2
        if mean_entropy(values, math.exp(middle)) < wanted:
            low = middle
        else:
            high = middle
    return float(f"{math.exp((low + high) / 2):.3g}")


def _deviation(scores: Tensor) -> float:
    """Compute the standard deviation of scores about the mean of their row, without those that are ``-inf``."""
    counted = ~scores.isinf()
    finite, numbers = scores.masked_fill(~counted, 0), counted.sum(dim=1)
    means = finite.sum(dim=1) / numbers
    squares = (finite - means[:, None]).square().masked_fill(~counted, 0)
    return math.sqrt(float((squares.sum(dim=1) / numbers).mean()))


def bank_temperature(bank: Tensor, share: float = SHARE) -> float:
    """Choose the temperature of a dense teacher from the cosines within its bank.

    Args:
        bank: The teacher's unit sentence vectors, (N, d). Up to 512 of them, evenly spaced, are compared with all.
        share: As in `perplexity_temperature`.

    Returns:
        The temperature; `FALLBACK` where the bank has fewer than `FEWEST` sentences.
    """
    if len(bank) < FEWEST:
        return FALLBACK
    rows = torch.linspace(0, len(bank) - 1, min(_ROWS, len(bank)), device=bank.device).long().unique()
    return perplexity_temperature(bank[rows] @ bank.T, rows, share)


def mean_entropy(scores: Tensor, temperature: float) -> float:
    """Compute the mean entropy of the rows of ``softmax(scores / temperature)``, in nats; ``-inf`` has no mass.

    Example:
        >>> round(mean_entropy(torch.tensor([[0.5, 0.5, -torch.inf]]), 0.05) / math.log(2), 6)
        1.0
    """
    logs = torch.log_softmax(scores / temperature, dim=-1)
    return float(-(logs.exp() * logs.masked_fill(logs.isinf(), 0)).sum(dim=-1).mean())
