"""Translation counts between vocabulary pieces by Sinkhorn-EM, which uses the order of pieces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.sparse import coo_array, csr_array

from hf_optical.errors import InputError
from hf_optical.students.expectations import agreed_expectation, positional_prior, transport_expectation
from hf_optical.students.piece_sequences import PAD, PieceSequences, blocks_of_like_length

_Expectation = Literal["transport", "agreement"]

_BLOCK = 100_000  # couples of positions computed at a time, which fit into a CPU cache
_LOOKED_UP = 2_000_000  # couples looked up at a time, because scipy checks the whole table in every call
_GATHERED = 4_000_000  # counts collected before they are added up
_FLOOR = np.float32(1e-7)  # added to the kernel, so that no couple has kernel zero


@dataclass(frozen=True)
class SequenceModel:
    """Settings of `sequence_counts`, with defaults that were chosen on held-out pairs (docs/RESULTS.md).

    Args:
        slope: Slope of the positional prior ``exp(-slope * |i / m - j / n|)``; 0 for no prior.
        dustbin: Kernel of pieces without a counterpart, to which up to half of the mass goes; a couple of pieces with a
            much smaller kernel is aligned only where nothing better is left (`transport_expectation`).
        rounds: Rounds of expectation and maximisation.
        expectation: ``"transport"`` for Sinkhorn-EM, in which pieces compete for each other; ``"agreement"`` for the
            control without transport, the product of two posteriors with the same prior.
        iterations: Iterations of Sinkhorn's algorithm in each expectation.
        least: Smallest expected alignment of a couple of positions that is kept, which limits the size of the table.

    Raises:
        InputError: A setting is out of its range.
    """

    slope: float = 2.0
    dustbin: float = 0.003
    rounds: int = 3
    expectation: _Expectation = "transport"
    iterations: int = 10
    least: float = 0.02

    def __post_init__(self) -> None:
        for name, good in (
            ("slope", 0 <= self.slope < np.inf),
            ("dustbin", 0 < self.dustbin < np.inf),
            ("rounds", self.rounds >= 1),
            ("iterations", self.iterations >= 1),
            ("least", 0 <= self.least < 1),
        ):
            if not good:
                wanted = {"slope": "0 or more", "dustbin": "a number above 0", "least": "a number from 0 to below 1"}
                raise InputError(
                    f"{name} is {getattr(self, name)}", f"give {wanted.get(name, 'at least 1')}", field=name
                )
        if self.expectation not in ("transport", "agreement"):
            raise InputError(
                f"expectation is {self.expectation!r}", "use 'transport' or 'agreement'", field="expectation"
            )


def sequence_counts(
    source_ids: PieceSequences | Sequence[Sequence[int] | np.ndarray],
    target_ids: PieceSequences | Sequence[Sequence[int] | np.ndarray],
    start: csr_array,
    model: SequenceModel | None = None,
) -> csr_array:
    """Compute the expected number of alignments of each source piece with each target piece, using their positions.

    Each round computes the scores ``K[i, j] = sqrt(t(e_j | f_i) t(f_i | e_j)) * exp(-slope * |i/m - j/n|)`` of all
    couples of pieces from the counts of the previous round, divided by both margins. It aligns every pair of sentences
    by these scores (`transport_expectation`), and adds up the expected alignments. This is Sinkhorn-EM (Mena et al.
    2020, arXiv 2006.16548) with the positional prior of fast_align (Dyer et al. 2013,
    https://aclanthology.org/N13-1073/).

    Pairs are processed in blocks. Besides the sequences, only the tables of two rounds are in memory, with at most a
    few entries per token. A piece without counts in ``start`` is aligned with the mass that other pieces leave.

    Args:
        source_ids: Pieces of each source sentence in order, numbers below ``start.shape[0]``, no special tokens.
        target_ids: Pieces of each translation, numbers below ``start.shape[1]``.
        start: Counts to start from, such as those of `alignment_counts` for these pairs or a part of them.
        model: Settings; by default `SequenceModel()`.

    Returns:
        Sparse float64 counts of the same shape.

    Raises:
        InputError: The two sides have different numbers of sentences, or a piece is out of range.

    Example:
        >>> from hf_optical.students.alignment_counts import alignment_counts
        >>> pairs = [[0, 1], [0, 2], [1, 2]], [[5, 6], [5, 7], [6, 7]]
        >>> sequence_counts(*pairs, alignment_counts(*pairs, (3, 8))).argmax(axis=1).tolist()
        [5, 6, 7]
    """
    settings = model or SequenceModel()
    sources, targets = PieceSequences.of(source_ids), PieceSequences.of(target_ids)
    if len(sources) != len(targets):
        raise InputError(
            f"there are {len(sources)} source sentences and {len(targets)} translations",
            "give one translation per sentence",
        )
    sources.check(start.shape[0], "source_ids")
    targets.check(start.shape[1], "target_ids")
    counts = csr_array(start)
    for _ in range(settings.rounds):
        counts = _round(sources, targets, counts, settings)
    return counts


def _round(sources: PieceSequences, targets: PieceSequences, counts: csr_array, settings: SequenceModel) -> csr_array:
    """Run one round of expectation and maximisation, and return the new counts."""
    table = _Table.of(counts, settings)
    gathered = _Gathered(counts.shape)
    for blocks in _chunks(sources, targets):
        padded = [(sources.padded(block), targets.padded(block)) for block in blocks]
        for (left, right), found in zip(padded, table.look_up(padded), strict=True):
            expected = _expectation(left, right, found, table, settings)
            pair, i, j = np.nonzero((expected >= settings.least) & (expected > 0))
            gathered.add(left[pair, i], right[pair, j], expected[pair, i, j])
    return gathered.total()


def _expectation(
    left: np.ndarray, right: np.ndarray, found: np.ndarray, table: _Table, settings: SequenceModel
) -> np.ndarray:
    """Compute the expected alignments of one block, ``(pairs, m, n)``, float32."""
    real_left, real_right = left != PAD, right != PAD
    kernel = positional_prior(real_left, real_right, settings.slope)
    # A piece without counts has the same kernel with all pieces, somewhat above that of the dustbin.
    news = table.new_source[left][:, :, None] | table.new_target[right][:, None]
    found = np.where(news, np.float32(2 * settings.dustbin), found)
    kernel *= found
    if settings.expectation == "transport":
        kernel += _FLOOR
        return transport_expectation(kernel, real_left, real_right, settings.dustbin, settings.iterations)
    # With margins r and s of the counts c, found is c / sqrt(r s), t(e|f) is c / r, and t(f|e) is c / s.
    ratio = np.sqrt(table.target_margin[right][:, None] / table.source_margin[left][:, :, None])
    ratio[news] = 1
    return agreed_expectation(kernel * ratio, kernel / ratio, real_left, real_right, settings.dustbin)


def _chunks(sources: PieceSequences, targets: PieceSequences) -> Iterator[list[np.ndarray]]:
    """Yield lists of blocks of pairs whose scores are looked up together."""
    left, right = sources.lengths, targets.lengths
    together: list[np.ndarray] = []
    cells = 0
    for block in blocks_of_like_length(left, right, _BLOCK):
        together.append(block)
        cells += len(block) * int(left[block].max()) * int(right[block].max())
        if cells >= _LOOKED_UP:
            yield together
            together, cells = [], 0
    if together:
        yield together


@dataclass(frozen=True)
class _Table:
    """Scores of couples of pieces, from counts ``c`` with margins ``r`` and ``s``.

    Attributes:
        scores: Geometric mean of ``t(e | f)`` and ``t(f | e)``, ``c[f, e] / sqrt(r[f] s[e])``, ``(sources, targets)``.
        source_margin: ``r``, ``(sources + 1,)``, 1 for pieces without counts, and 1 at the end for padding.
        target_margin: ``s``, ``(targets + 1,)``, likewise.
        new_source: Source pieces without counts, ``(sources + 1,)``, bool; false for padding.
        new_target: Target pieces without counts, ``(targets + 1,)``, likewise.
    """

    scores: csr_array
    source_margin: np.ndarray
    target_margin: np.ndarray
    new_source: np.ndarray
    new_target: np.ndarray

    @classmethod
    def of(cls, counts: csr_array, settings: SequenceModel) -> _Table:
        sums = [np.append(np.asarray(counts.sum(axis=axis), dtype=np.float64), 1.0) for axis in (1, 0)]
        new = [margin <= 0 for margin in sums]
        left, right = (np.where(margin > 0, margin, 1.0) for margin in sums)
        rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
        data = (counts.data / np.sqrt(left[rows] * right[counts.indices])).astype(np.float32)
        scores = csr_array((data, counts.indices, counts.indptr), shape=counts.shape)
        scores.sort_indices()
        return cls(scores, left.astype(np.float32), right.astype(np.float32), new[0], new[1])

    def look_up(self, padded: list[tuple[np.ndarray, np.ndarray]]) -> Iterator[np.ndarray]:
        """Yield the scores of all couples of positions of each block, ``(pairs, m, n)``, arbitrary on padding."""
        shapes = [(len(left), left.shape[1], right.shape[1]) for left, right in padded]
        rows = np.concatenate([np.repeat(np.maximum(left, 0).ravel(), right.shape[1]) for left, right in padded])
        columns = np.concatenate(
            [
                np.broadcast_to(np.maximum(right, 0)[:, None], shape).ravel()
                for (_, right), shape in zip(padded, shapes, strict=True)
            ]
        )
        found = np.asarray(self.scores[rows, columns]).ravel()
        start = 0
        for shape in shapes:
            size = int(np.prod(shape))
            yield found[start : start + size].reshape(shape)
            start += size


class _Gathered:
    """Sum of counts of couples, which are collected and added up when there are many."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self._sum = csr_array(shape, dtype=np.float64)
        self._held: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._size = 0

    def add(self, rows: np.ndarray, columns: np.ndarray, counts: np.ndarray) -> None:
        self._held.append((rows, columns, counts))
        self._size += len(counts)
        if self._size >= _GATHERED:
            self._add_up()

    def _add_up(self) -> None:
        if self._held:
            rows, columns, counts = (np.concatenate(part) for part in zip(*self._held, strict=True))
            new = csr_array(coo_array((counts.astype(np.float64), (rows, columns)), shape=self._sum.shape))
            self._sum = self._sum + new
            self._held, self._size = [], 0

    def total(self) -> csr_array:
        self._add_up()
        return self._sum
