"""Linear maps from one vector space to another in closed form: ridge, orthogonal Procrustes, plan-weighted tokens.

All maps are computed from second moments, which can be added up: rows are processed in blocks of any size, and a
million rows need the memory of one block. The module does not depend on models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from hf_optical.errors import InputError, NonFiniteError
from hf_optical.transport import TransportSolver, cosine_cost, uniform_marginals

TokenBlock = tuple[Tensor, Tensor, Tensor, Tensor]
"""Vectors x (B, n, d) and mask (B, n) of one side, vectors y (B, m, e) and mask (B, m) of the other."""


@dataclass(frozen=True)
class LinearMap:
    """Affine map ``y = W x + b``.

    Attributes:
        weight: Matrix W, ``(e, d)``.
        bias: Vector b, ``(e,)``.

    Example:
        >>> LinearMap(torch.tensor([[0.0, 2.0]]), torch.tensor([1.0]))(torch.tensor([[5.0, 3.0]])).tolist()
        [[7.0]]
    """

    weight: Tensor
    bias: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Map the rows of ``x``, from ``(..., d)`` to ``(..., e)``."""
        return x.to(self.weight.dtype) @ self.weight.T + self.bias


@dataclass
class Moments:
    """Weighted sums over pairs of vectors, from which a least-squares map can be computed, in float64.

    Attributes:
        mass: Sum of the weights.
        x: Weighted sum of the sources, ``(d,)``.
        y: Weighted sum of the targets, ``(e,)``.
        xx: Weighted sum of ``x x'``, ``(d, d)``.
        xy: Weighted sum of ``x y'``, ``(d, e)``.

    Example:
        >>> moments = Moments.empty(1, 1)
        >>> moments.add(torch.tensor([[0.0], [1.0]]), torch.tensor([[1.0], [3.0]]))
        >>> ridge(moments, 0.0)(torch.tensor([[2.0]])).round(decimals=4).tolist()
        [[5.0]]
    """

    mass: float
    x: Tensor
    y: Tensor
    xx: Tensor
    xy: Tensor

    @classmethod
    def empty(cls, d: int, e: int) -> Moments:
        """Return the moments of no pairs, between spaces of ``d`` and ``e`` dimensions."""
        zeros = [torch.zeros(shape, dtype=torch.float64) for shape in ((d,), (e,), (d, d), (d, e))]
        return cls(0.0, *zeros)

    @classmethod
    def of(cls, x: Tensor, y: Tensor) -> Moments:
        """Compute the moments of the rows of ``x``, ``(n, d)``, paired with those of ``y``, ``(n, e)``, of weight 1."""
        moments = cls.empty(x.shape[1], y.shape[1])
        moments.add(x, y)
        return moments

    def add(self, x: Tensor, y: Tensor, weights: Tensor | None = None) -> None:
        """Add a block of pairs, in place.

        Args:
            x: Sources, ``(n, d)``.
            y: Targets, ``(n, e)``.
            weights: Weights of the pairs, ``(n,)``, at least 0; 1 by default.

        Raises:
            InputError: The numbers of rows or the widths do not fit.
            NonFiniteError: A vector is not finite.
        """
        if len(x) != len(y) or x.shape[1] != len(self.x) or y.shape[1] != len(self.y):
            raise InputError(
                f"found vectors of shapes {tuple(x.shape)} and {tuple(y.shape)} for a map from {len(self.x)} to "
                f"{len(self.y)} numbers",
                "give as many sources as targets, of these widths",
            )
        x, y = x.detach().double().cpu(), y.detach().double().cpu()
        if not (torch.isfinite(x).all() and torch.isfinite(y).all()):
            raise NonFiniteError(
                "a vector for the fit of a map is not finite. Remedy: check the weights of the two models."
            )
        w = torch.ones(len(x), dtype=torch.float64) if weights is None else weights.double().cpu()
        weighted = x * w[:, None]
        self.mass += float(w.sum())
        self.x = self.x + weighted.sum(0)
        self.y = self.y + w @ y
        self.xx = self.xx + weighted.T @ x
        self.xy = self.xy + weighted.T @ y

    def __add__(self, other: Moments) -> Moments:
        parts = ((mine + theirs) for mine, theirs in zip(self._parts(), other._parts(), strict=True))
        return Moments(self.mass + other.mass, *parts)

    def __mul__(self, factor: float) -> Moments:
        return Moments(self.mass * factor, *(part * factor for part in self._parts()))

    def centred(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return means and covariances.

        Returns:
            Means of both sides, ``(d,)`` and ``(e,)``, the covariance of the sources, ``(d, d)``, and that of sources
            and targets, ``(d, e)``.

        Raises:
            InputError: There are no pairs.
        """
        if not self.mass > 0:
            raise InputError("there are no pairs on which a map could be fitted", "give pairs of vectors")
        x, y = self.x / self.mass, self.y / self.mass
        return x, y, self.xx / self.mass - x.outer(x), self.xy / self.mass - x.outer(y)

    def within(self, other: Moments) -> Moments:
        """Join two sets of pairs, each centred at its own means, and shift the result to the means of this one.

        The map is thereby fitted on the common structure of two languages, while their means, an offset of the whole
        language, are those of this set alone.
        """
        (x, y, *mine), (_, _, *theirs) = self.centred(), other.centred()
        mass = self.mass + other.mass
        xx, xy = (self.mass * a + other.mass * b for a, b in zip(mine, theirs, strict=True))
        return Moments(mass, mass * x, mass * y, xx + mass * x.outer(x), xy + mass * x.outer(y))

    def _parts(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.x, self.y, self.xx, self.xy


def ridge(moments: Moments, penalty: float) -> LinearMap:
    """Fit a map by ridge regression, least squares with a penalty on the weights (Hoerl and Kennard 1970).

    The bias is not penalised.

    Args:
        moments: Moments of the pairs.
        penalty: Penalty in units of the sources' mean variance per dimension; 0 for least squares.

    Returns:
        The map, float64.
    """
    x, y, xx, xy = moments.centred()
    scale = float(torch.trace(xx)) / len(xx)
    damped = xx + max(penalty, 1e-9) * max(scale, 1e-30) * torch.eye(len(xx), dtype=xx.dtype)
    weight = torch.linalg.solve(damped, xy).T
    return LinearMap(weight, y - weight @ x)


def procrustes(moments: Moments) -> LinearMap:
    """Fit the best rotation or reflection with one scale between the centred sets (Schönemann 1966).

    Between spaces of different widths the map has orthonormal rows or columns. It preserves angles within the source
    space as far as the widths allow.

    Returns:
        The map, float64.
    """
    x, y, xx, xy = moments.centred()
    left, sizes, right = torch.linalg.svd(xy, full_matrices=False)
    # The scale is computed from the part of the sources' variance that the rotation preserves.
    carried = torch.trace(left.T @ xx @ left).clamp_min(1e-30)
    weight = (left @ right).T * (sizes.sum() / carried)
    return LinearMap(weight, y - weight @ x)


def token_moments(blocks: Iterable[TokenBlock], start: LinearMap, solver: TransportSolver) -> Moments:
    """Compute moments of token pairs, weighted by the transport plan between mapped sources and targets.

    The plan is computed for the cosine cost after the map ``start``, with the same mass on every token of a sentence.
    Each source token is paired with all target tokens, weighted by the plan. The weighted squared error is minimal if
    the source is mapped to the plan's average of the targets, so that this average is used as its target.

    Args:
        blocks: Batches of sentence pairs, without special tokens.
        start: Map that is applied to the sources before the plan is computed.
        solver: Solver of the plan.

    Returns:
        The moments, with one unit of mass per sentence pair.

    Raises:
        InputError: There are no sentences.
    """
    moments: Moments | None = None
    for x, x_mask, y, y_mask in blocks:
        if moments is None:
            moments = Moments.empty(x.shape[-1], y.shape[-1])
        mapped = start(x).to(torch.float32)
        a, b = uniform_marginals(x_mask), uniform_marginals(y_mask)
        plan = solver(cosine_cost(mapped, y.float()), a, b).double()  # (B, n, m)
        mass = plan.sum(2)  # (B, n)
        average = (plan @ y.double()) / mass.clamp_min(1e-12).unsqueeze(2)  # (B, n, e)
        real = x_mask.bool()
        moments.add(x[real], average[real], mass[real])
    if moments is None:
        raise InputError("there are no sentences on whose tokens a map could be fitted", "give pairs of sentences")
    return moments


def alternate(
    sentences: Moments,
    blocks: Callable[[], Iterable[TokenBlock]],
    start: LinearMap,
    fit: Callable[[Moments], LinearMap],
    solver: TransportSolver,
    *,
    share: float = 0.5,
    rounds: int = 2,
    keep_means: bool = False,
) -> LinearMap:
    """Fit a map on sentences and tokens, computing plans and map alternately.

    Args:
        sentences: Moments of sentence vectors.
        blocks: Function that returns the batches of tokens, called once per round.
        start: The first map.
        fit: Function that fits a map, `ridge` with a penalty or `procrustes`.
        solver: Solver of the plans.
        share: Share of the mass of tokens, 0 to 1.
        rounds: Number of alternations.
        keep_means: Whether tokens leave the means of the sentences as they are (`joined`).

    Returns:
        The last map.
    """
    found = start
    for _ in range(rounds):
        found = fit(joined(sentences, token_moments(blocks(), found, solver), share, keep_means))
    return found


def joined(moments: Moments, others: Moments, share: float, keep_means: bool = False) -> Moments:
    """Join two sets of pairs, of which the second has this share of the mass; the whole mass is 1.

    Args:
        moments: The first set.
        others: The second set.
        share: Share of the mass of the second set, 0 to 1.
        keep_means: Whether the means are those of the first set alone (`Moments.within`), as for an offset of its own.

    Example:
        >>> first = Moments.of(torch.tensor([[0.0], [2.0]]), torch.tensor([[0.0], [2.0]]))
        >>> other = Moments.of(torch.tensor([[4.0], [6.0]]), torch.tensor([[9.0], [11.0]]))
        >>> [joined(first, other, 0.5, keep).centred()[1].tolist() for keep in (False, True)]
        [[5.5], [1.0]]
    """
    first, second = moments * ((1 - share) / moments.mass), others * (share / others.mass)
    return first.within(second) if keep_means else first + second
