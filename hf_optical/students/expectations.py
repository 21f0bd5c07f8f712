"""Expected alignments between the pieces of two sentences, by entropic transport or by agreeing posteriors.

All are pure functions on a batch of sentence pairs. Tables are float32, ``(pairs, m, n)``, padded; the masks
``real_left``, ``(pairs, m)``, and ``real_right``, ``(pairs, n)``, are true at positions with a piece.
"""

from __future__ import annotations

import numpy as np


def positional_prior(real_left: np.ndarray, real_right: np.ndarray, slope: float) -> np.ndarray:
    """Compute ``exp(-slope * |i / m - j / n|)``, a prior for similar relative positions in a sentence and translation.

    It is the prior of fast_align (Dyer et al. 2013, https://aclanthology.org/N13-1073/), with positions counted at the
    middle of a piece.

    Args:
        real_left: Mask of the pieces of the first sentences, ``(pairs, m)``.
        real_right: Mask of the pieces of the second sentences, ``(pairs, n)``.
        slope: Sharpness of the prior; 0 for none.

    Returns:
        Prior, ``(pairs, m, n)``, in (0, 1].

    Example:
        >>> two = np.ones((1, 2), dtype=bool)
        >>> (100 * positional_prior(two, two, 2.0)).round().tolist()
        [[[100.0, 37.0], [37.0, 100.0]]]
    """
    left, right = (
        (np.arange(real.shape[1], dtype=np.float32) + 0.5) / np.maximum(real.sum(1, dtype=np.float32), 1)[:, None]
        for real in (real_left, real_right)
    )
    distance = left[:, :, None] - right[:, None]
    np.abs(distance, out=distance)
    distance *= -np.float32(slope)
    return np.exp(distance, out=distance)


def transport_expectation(
    kernel: np.ndarray, real_left: np.ndarray, real_right: np.ndarray, dustbin: float, iterations: int = 10
) -> np.ndarray:
    """Compute expected alignments by entropic optimal transport with a dustbin on each side.

    Every piece of a sentence with ``m`` pieces has mass ``1 / m``, and each dustbin 1/2. Sinkhorn's algorithm (Cuturi
    2013) scales the kernel, with a row and a column of value ``dustbin`` added, to these marginals. The mass of a word
    without a translation goes to the dustbin, up to the dustbin's mass; about half of a sentence is aligned in any
    case, also with a sentence that does not translate it. Pieces compete for each other, and are not aligned
    independently as in IBM's models. This is the expectation of Sinkhorn-EM (Mena et al. 2020, arXiv
    2006.16548).

    Args:
        kernel: Positive scores of couples of pieces, ``(pairs, m, n)``; padding is ignored.
        real_left: Mask of the pieces of the first sentences, ``(pairs, m)``.
        real_right: Mask of the pieces of the second sentences, ``(pairs, n)``.
        dustbin: Kernel of the dustbins; a couple with a much smaller score is aligned only where nothing better is
            left.
        iterations: Number of iterations.

    Returns:
        ``min(m, n)`` times the plan without dustbins, ``(pairs, m, n)``, zero on padding. In sentences of equal length
        it is 1 for two pieces that are aligned with each other only.

    Example:
        >>> two = np.ones((1, 2), dtype=bool)
        >>> kernel = np.array([[[1.0, 0.1], [0.1, 1e-6]]], dtype="f4")
        >>> (100 * transport_expectation(kernel, two, two, 0.01)).round().tolist()
        [[[45.0, 50.0], [50.0, 0.0]]]
    """
    pairs, height, width = kernel.shape
    table = np.zeros((pairs, height + 1, width + 1), dtype=np.float32)
    np.multiply(kernel, real_left[:, :, None], out=table[:, :-1, :-1])
    table[:, :-1, :-1] *= real_right[:, None]
    table[:, :-1, -1] = dustbin * real_left
    table[:, -1, :-1] = dustbin * real_right
    table[:, -1, -1] = dustbin
    rows, columns = (
        np.concatenate([real / np.maximum(real.sum(1, keepdims=True), 1), np.full((pairs, 1), 0.5)], axis=1).astype(
            "f4"
        )
        for real in (real_left, real_right)
    )
    # On padding the mass is 0 and the denominator 0 + 1, so that its scaling is 0.
    pad_rows, pad_columns = (rows == 0).astype("f4"), (columns == 0).astype("f4")
    turned = np.ascontiguousarray(table.transpose(0, 2, 1))
    row = np.ones_like(rows)
    for _ in range(iterations):
        column = columns / (np.matmul(turned, row[:, :, None])[:, :, 0] + pad_columns)
        row = rows / (np.matmul(table, column[:, :, None])[:, :, 0] + pad_rows)
    plan = table[:, :-1, :-1]
    plan *= row[:, :-1, None]
    plan *= column[:, None, :-1]
    plan *= np.minimum(real_left.sum(1), real_right.sum(1)).astype("f4")[:, None, None]
    return plan


def agreed_expectation(
    forward: np.ndarray, backward: np.ndarray, real_left: np.ndarray, real_right: np.ndarray, empty: float
) -> np.ndarray:
    """Compute expected alignments as products of two posteriors, the control for `transport_expectation`.

    Each piece is aligned independently with the pieces of the other sentence or an empty piece, in both directions
    (Liang et al. 2006, https://aclanthology.org/N06-1014/).

    Args:
        forward: ``t(right | left)`` times the positional prior, ``(pairs, m, n)``.
        backward: ``t(left | right)`` times the prior, ``(pairs, m, n)``.
        real_left: Mask of the pieces of the first sentences, ``(pairs, m)``.
        real_right: Mask of the pieces of the second sentences, ``(pairs, n)``.
        empty: Weight of the empty piece.

    Returns:
        Expected alignments, ``(pairs, m, n)``, zero on padding.

    Example:
        >>> two = np.ones((1, 2), dtype=bool)
        >>> table = np.array([[[0.9, 0.1], [0.1, 0.9]]], dtype="f4")
        >>> (100 * agreed_expectation(table, table, two, two, 0.0)).round().tolist()
        [[[81.0, 1.0], [1.0, 81.0]]]
    """
    real = real_left[:, :, None] & real_right[:, None]
    forward, backward = forward * real, backward * real
    # In the forward direction each target is generated by one source, in the backward direction the reverse.
    forward /= np.maximum(forward.sum(1, keepdims=True) + np.float32(empty), np.float32(1e-30))
    backward /= np.maximum(backward.sum(2, keepdims=True) + np.float32(empty), np.float32(1e-30))
    forward *= backward
    return forward
