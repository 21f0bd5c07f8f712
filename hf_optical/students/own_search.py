"""Search by which maps are compared: held-out sentences look for their own row of a bank."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from hf_optical.errors import InputError, NonFiniteError

_HELD_OUT, _FEWEST_HELD_OUT, _MOST_HELD_OUT = 0.25, 5, 500  # share of the pairs, and limits of their number
FEWEST_DOCUMENTS = 50
"""Least number of different documents of an index of which some are held out."""
_EVERY = 5  # every fifth document is held out, or fewer, evenly spaced
_SPREAD_OF = 500  # sentences among which the spread of cosines is measured
_TIE = 1e-6  # cosines that differ by less are equal


def held_out_rows(sources: Sequence[str], seed: int) -> tuple[list[int], list[int]]:
    """Draw a quarter of the pairs (5 to 500) to hold out, with equal English sentences on the same side.

    Returns:
        Numbers of the held-out pairs, and of all others; neither is empty.

    Raises:
        InputError: All pairs have the same English sentence, or there is one pair.

    Example:
        >>> held, kept = held_out_rows([str(i // 2) for i in range(100)], 0)
        >>> len(held), len(kept), {i // 2 for i in held} & {i // 2 for i in kept}
        (26, 74, set())
    """
    wanted = min(_MOST_HELD_OUT, max(_FEWEST_HELD_OUT, round(_HELD_OUT * len(sources))))
    groups: dict[str, list[int]] = {}
    for row, text in enumerate(sources):
        groups.setdefault(text, []).append(row)
    if len(groups) < 2:
        raise InputError(
            f"all {len(sources)} pairs have the same English, {next(iter(groups), '')[:60]!r}, and a map is chosen on "
            "pairs whose English it was not fitted on",
            "give pairs of different English sentences; where the file has them in another column, name it with "
            "--source_field COLUMN",
            field="bitext",
        )
    held: set[int] = set()
    texts = list(groups)
    for place in np.random.default_rng(seed).permutation(len(texts)):
        if len(held) >= wanted or len(held) + len(groups[texts[place]]) == len(sources):
            break
        held.update(groups[texts[place]])
    return sorted(held), [row for row in range(len(sources)) if row not in held]


def held_out_documents(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Hold out every fifth of the different documents of an index, or 500 at most, from the whole range of their order.

    Documents with equal vectors are copies, and stay on one side: a held-out document whose copy is fitted would praise
    whatever fits closely.

    Args:
        vectors: Vectors of the documents, ``(n, d)``.

    Returns:
        Rows of the held-out documents, one of each copy, and the rows of all documents that are neither held out nor
        copies of these.

    Example:
        >>> held, kept = held_out_documents(torch.tensor([[1.0], [2.0], [3.0], [1.0], [4.0], [5.0], [6.0]]))
        >>> held.tolist(), kept.tolist()
        ([0, 6], [1, 2, 4, 5])
    """
    _, group = torch.unique(vectors, dim=0, return_inverse=True)
    rows = torch.arange(len(group))
    # the first row of each group of copies, in the order of the index
    first = torch.full((int(group.max()) + 1,), len(group)).scatter_reduce(0, group, rows, "amin").sort().values
    held = first[:: max(_EVERY, math.ceil(len(first) / _MOST_HELD_OUT))]
    return held, rows[~torch.isin(group, group[held])]


def different_documents(vectors: Tensor) -> int:
    """Return the number of documents of an index with different vectors, ``(n, d)``.

    Example:
        >>> different_documents(torch.tensor([[1.0], [2.0], [1.0]]))
        2
    """
    return len(torch.unique(vectors, dim=0))


def score_of_own(queries: Tensor, bank: Tensor, own: Tensor) -> tuple[float, float]:
    """Score how well queries find their own row of a bank, by mean log-probability and mean nDCG@10.

    The temperature is a third of the standard deviation of cosines within the bank, so that one rule suits models whose
    cosines fill [-1, 1] and models whose cosines are all above .7.

    Args:
        queries: Unit vectors, ``(n, d)``.
        bank: Unit vectors, ``(N, d)``.
        own: Row of the bank that answers each query, ``(n,)``.

    Returns:
        Mean log-probability of the right row, and mean nDCG@10.

    Raises:
        NonFiniteError: A vector is not finite; a mean that is NaN would decide the choice by chance.

    Example:
        >>> score_of_own(torch.eye(2), torch.eye(2), torch.tensor([0, 1]))[1]
        1.0
    """
    if not (torch.isfinite(queries).all() and torch.isfinite(bank).all()):
        raise NonFiniteError(
            "a vector on which a map is chosen is not finite. Remedy: check the weights of the two models."
        )
    some = bank[:: max(1, len(bank) // _SPREAD_OF)].float()
    among = (some @ some.T)[~torch.eye(len(some), dtype=torch.bool)]
    temperature = max(float(among.std()) / 3 if len(among) > 1 else 0.0, 1e-3)
    logits = queries.float() @ bank.float().T / temperature
    fit = logits.log_softmax(1).gather(1, own[:, None])
    return float(fit.mean()), ndcg_of_own(queries, bank, own)


def ndcg_of_own(queries: Tensor, bank: Tensor, own: Tensor) -> float:
    """Compute the mean nDCG@10 of queries with one right answer each.

    A row that ties with the right one ranks above it, so that queries that say nothing, such as vectors of zeros, find
    nothing. Rows that have the same vector as the right one are right too: they come from the same English sentence.

    Args:
        queries: Unit vectors, ``(n, d)``. A query that is not finite, or whose right row is not, scores 0.
        bank: Unit vectors, ``(N, d)``.
        own: Row of the bank that answers each query, ``(n,)``.

    Example:
        >>> ndcg_of_own(torch.eye(2), torch.eye(2), torch.tensor([0, 1]))
        1.0
        >>> round(ndcg_of_own(torch.zeros(1, 2), torch.eye(2), torch.tensor([0])), 4)  # the second of two
        0.6309
    """
    bank = bank.float()
    scores = queries.float() @ bank.T
    right = scores.gather(1, own[:, None])
    wrong = (bank[own] @ bank.T < 1 - _TIE).scatter(1, own[:, None], False)
    places = (wrong & (scores >= right - _TIE)).sum(1)
    found = (places < 10) & right[:, 0].isfinite()
    return float(torch.where(found, 1 / torch.log2(places + 2.0), 0.0).mean())
