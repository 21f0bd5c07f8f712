"""Marginals of transport, the mass of each token, and the error with which a plan meets them."""

from __future__ import annotations

import torch

from hf_optical.errors import InputError
from hf_optical.transport._checks import require


def uniform_marginals(mask: torch.Tensor, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Give every real token the same mass, and padding none.

    Args:
        mask: Mask, ``(B, n)``, true (or non-zero) on real tokens, such as an attention mask.
        dtype: Type of the result.

    Returns:
        Marginals, ``(B, n)``; every row sums to 1.

    Raises:
        InputError: The mask is not two-dimensional, or a row has no real token.

    Example:
        >>> uniform_marginals(torch.tensor([[1, 1, 0], [1, 1, 1]]))
        tensor([[0.5000, 0.5000, 0.0000],
                [0.3333, 0.3333, 0.3333]])
    """
    return weighted_marginals(mask, torch.ones(mask.shape, dtype=dtype, device=mask.device))


def weighted_marginals(mask: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Give real tokens mass in proportion to a weight (attention, IDF, a layer's norm), and padding none.

    Args:
        mask: Mask, ``(B, n)``, true (or non-zero) on real tokens.
        weights: Weights, ``(B, n)``, at least zero on real tokens; ignored on padding.

    Returns:
        Marginals, ``(B, n)``, in the type of ``weights`` (float32 for half precision); every row sums to 1. They
        propagate gradients to ``weights``, which the solvers do not use.

    Raises:
        InputError: The shapes differ, a real token has a negative or non-finite weight, or a row has no mass.

    Example:
        >>> weighted_marginals(torch.tensor([[1, 1, 0]]), torch.tensor([[3.0, 1.0, torch.nan]]))
        tensor([[0.7500, 0.2500, 0.0000]])
    """
    if mask.dim() != 2 or weights.shape != mask.shape:
        raise InputError(
            f"marginals got a mask of shape {tuple(mask.shape)} and weights of shape {tuple(weights.shape)}",
            "pass both with shape (batch, tokens)",
            field="mask",
        )
    dtype = torch.float64 if weights.dtype == torch.float64 else torch.float32
    mass = torch.where(mask.to(torch.bool), weights.to(dtype), 0.0)
    total = mass.sum(dim=1, keepdim=True)
    require(
        (mass >= 0).all(dim=1) & (mass < torch.inf).all(dim=1),
        "the weights have a negative or non-finite number on a real token",
        "pass weights that are at least zero and finite",
        field="weights",
    )
    require(
        total.squeeze(1) > 0,
        "a row of marginals has no mass: every token is padding or has weight zero",
        "drop empty sentences before batching, or keep at least one token with a positive weight",
        field="mask",
    )
    return mass / total


def document_frequencies(token_ids: torch.Tensor, mask: torch.Tensor, vocabulary_size: int) -> torch.Tensor:
    """Count the sentences of a batch in which each token occurs; the counts of batches can be added up.

    Args:
        token_ids: Token ids, ``(B, n)``, integers in ``[0, vocabulary_size)`` on real tokens.
        mask: Mask, ``(B, n)``, true (or non-zero) on real tokens.
        vocabulary_size: Size of the vocabulary, the length of the result.

    Returns:
        Counts, ``(vocabulary_size,)``, int64; a token that occurs several times in a sentence counts once.

    Raises:
        InputError: The shapes differ, or the id of a real token is outside the vocabulary.

    Example:
        >>> document_frequencies(torch.tensor([[2, 2, 1], [2, 0, 0]]), torch.tensor([[1, 1, 1], [1, 0, 0]]), 4)
        tensor([0, 1, 2, 0])
    """
    if token_ids.dim() != 2 or token_ids.shape != mask.shape:
        raise InputError(
            f"document_frequencies got token ids {tuple(token_ids.shape)} and a mask {tuple(mask.shape)}",
            "pass both with shape (batch, tokens)",
            field="token_ids",
        )
    real = mask.to(torch.bool)
    ids = torch.where(real, token_ids, 0)
    require(
        ((ids >= 0) & (ids < vocabulary_size)).all(dim=1),
        f"a token id is outside the vocabulary of {vocabulary_size}",
        "pass the vocabulary size of the tokenizer that made the ids",
        field="token_ids",
    )
    rows = torch.arange(len(ids), device=ids.device).unsqueeze(1).expand_as(ids)
    occurrences = torch.unique((rows * vocabulary_size + ids)[real])
    return torch.bincount(occurrences % vocabulary_size, minlength=vocabulary_size)


def idf_weights(counts: torch.Tensor, n_documents: int) -> torch.Tensor:
    """Compute the inverse document frequency of every token of a vocabulary.

    It is ``log(1 + (N - df + 0.5) / (df + 0.5))``, as in Lucene's BM25, which is positive for every ``df <= N``, so
    that no sentence loses all its mass. A token that was never seen has the largest weight.

    Args:
        counts: Document frequencies ``df``, ``(V,)``, as `document_frequencies` returns them.
        n_documents: Number ``N`` of sentences in which they were counted.

    Returns:
        Weights, ``(V,)``, float32, above zero.

    Raises:
        InputError: A count is negative or larger than ``n_documents``, or ``n_documents`` is not positive.

    Example:
        >>> idf_weights(torch.tensor([0, 1, 10]), n_documents=10)
        tensor([3.0910, 1.9924, 0.0465])
    """
    if counts.dim() != 1 or n_documents < 1:
        raise InputError(
            f"idf_weights got counts of shape {tuple(counts.shape)} and n_documents={n_documents}",
            "pass one count per vocabulary entry and the number of sentences counted",
            field="counts",
        )
    frequency = counts.to(torch.float64)
    require(
        (frequency >= 0) & (frequency <= n_documents),
        f"a document frequency is outside 0..{n_documents}",
        "count each token once per sentence, and pass the number of those sentences",
        field="counts",
    )
    return torch.log1p((n_documents - frequency + 0.5) / (frequency + 0.5)).to(torch.float32)


def idf_marginals(mask: torch.Tensor, token_ids: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Give each token mass in proportion to its inverse document frequency.

    Args:
        mask: Mask, ``(B, n)``, true (or non-zero) on real tokens.
        token_ids: Token ids, ``(B, n)``, which index ``weights`` on real tokens.
        weights: Weights of the vocabulary, ``(V,)``, as `idf_weights` returns them.

    Returns:
        Marginals, ``(B, n)``; every row sums to 1.

    Raises:
        InputError: As for `weighted_marginals`, or if the id of a real token is outside the vocabulary.

    Example:
        >>> idf_marginals(torch.tensor([[1, 1, 0]]), torch.tensor([[1, 0, 9]]), torch.tensor([3.0, 1.0]))
        tensor([[0.2500, 0.7500, 0.0000]])
    """
    if token_ids.shape != mask.shape:
        raise InputError(
            f"idf_marginals got token ids {tuple(token_ids.shape)} and a mask {tuple(mask.shape)}",
            "pass both with shape (batch, tokens)",
            field="token_ids",
        )
    ids = torch.where(mask.to(torch.bool), token_ids, 0)
    require(
        ((ids >= 0) & (ids < len(weights))).all(dim=1),
        f"a token id is outside the {len(weights)} IDF weights",
        "compute the weights with the tokenizer that made the ids",
        field="token_ids",
    )
    return weighted_marginals(mask, weights[ids])


def independent_plan(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Compute the plan ``a b^T``, which transports every student token to all teacher tokens and aligns nothing.

    It serves as a control in comparisons: distillation with it pulls each student token to the teacher's mean token.

    Args:
        a: Row marginals, ``(B, n)``.
        b: Column marginals, ``(B, m)``.

    Returns:
        Plans, ``(B, n, m)``.

    Example:
        >>> independent_plan(torch.tensor([[0.5, 0.5]]), torch.tensor([[0.75, 0.25]]))
        tensor([[[0.3750, 0.1250],
                 [0.3750, 0.1250]]])
    """
    return a.unsqueeze(2) * b.unsqueeze(1)


def marginal_violation(plan: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Compute the mass that a plan misplaces, as the larger of the L1 errors of its two marginals.

    It is ``max(|P 1 - a|_1, |P^T 1 - b|_1)``, between 0 and 2. Errors are summed over tokens, so that the result can be
    compared between sentences of different lengths.

    Args:
        plan: Plans, ``(B, n, m)``.
        a: Row marginals that the plan should have, ``(B, n)``.
        b: Column marginals that the plan should have, ``(B, m)``.

    Returns:
        Misplaced mass of each pair, ``(B,)``.

    Example:
        >>> a = b = torch.tensor([[0.5, 0.5]])
        >>> marginal_violation(torch.tensor([[[0.5, 0.0], [0.25, 0.25]]]), a, b)
        tensor([0.5000])
    """
    rows = (plan.sum(dim=2) - a).abs().sum(dim=1)
    columns = (plan.sum(dim=1) - b).abs().sum(dim=1)
    return torch.maximum(rows, columns)
