"""Translation counts between vocabulary pieces with their order kept, by Sinkhorn-EM."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.sparse import coo_array, csr_array

from hf_optical.errors import InputError
from hf_optical.students.expectations import agreed_expectation, positional_prior, transport_expectation
from hf_optical.students.piece_sequences import PAD, PieceSequences, blocks_of_like_length

Expectation = Literal["transport", "agreement"]

_BLOCK = 100_000  # couples of places worked on at a time: what fits a processor's cache
_LOOKED_UP = 2_000_000  # couples looked up at a time: the library checks the whole table once per call
_GATHERED = 4_000_000  # counts held before they are added up
_FLOOR = np.float32(1e-7)


@dataclass(frozen=True)
class SequenceModel:
    """The settings of `sequence_counts`; the defaults were chosen on held-out pairs (docs/RESULTS.md).

    Args:
        slope: Of the positional prior ``exp(-slope * |i / m - j / n|)``; 0 for none.
        dustbin: Kernel of "has no counterpart": a couple of pieces well below it is not aligned.
        rounds: Rounds of expectation and maximisation.
        expectation: ``"transport"``: pieces compete for each other (Sinkhorn-EM). ``"agreement"``: the control
            without transport, two posteriors that agree under the same prior.
        iterations: Of Sinkhorn's scaling, in each expectation.
        least: Expected alignments of a couple of places below this are dropped: the table stays as small as the data.

    Raises:
        InputError: If a setting is out of its range.
    """

    slope: float = 2.0
    dustbin: float = 0.003
    rounds: int = 3
    expectation: Expectation = "transport"
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
    """Count how often each source piece is aligned with each target piece, in expectation, places taken into account.

    Each round divides the counts ``c`` of the round before by both margins, so that
    ``K[i, j] = sqrt(t(e_j | f_i) t(f_i | e_j)) * exp(-slope * |i/m - j/n|)`` says how well two pieces match, aligns
    every pair of sentences by it (`transport_expectation`), and adds up. Sinkhorn-EM (Mena et al. 2020, arXiv
    2006.16548) with the positional prior of fast_align (Dyer et al. 2013, https://aclanthology.org/N13-1073/).

    Pairs are streamed in blocks: besides the sequences, only the tables of two rounds are held, a few entries for each
    token at most. A piece that ``start`` does not know takes what the others leave over.

    Args:
        source_ids: Pieces of each source sentence in order, numbers below ``start.shape[0]``, no special tokens.
        target_ids: Pieces of each translation, numbers below ``start.shape[1]``.
        start: Counts to start from: of `alignment_counts`, of these pairs or a part of them.
        model: Settings; by default `SequenceModel()`.

    Returns:
        Sparse float64 counts of the same shape.

    Raises:
        InputError: If the two sides differ in number, or a piece is out of range.

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
            "give one translation for each sentence",
        )
    sources.check(start.shape[0], "source_ids")
    targets.check(start.shape[1], "target_ids")
    counts = csr_array(start)
    for _ in range(settings.rounds):
        counts = _round(sources, targets, counts, settings)
    return counts


def _round(sources: PieceSequences, targets: PieceSequences, counts: csr_array, settings: SequenceModel) -> csr_array:
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
    """Expected alignments of one block, float32 ``(pairs, m, n)``."""
    real_left, real_right = left != PAD, right != PAD
    kernel = positional_prior(real_left, real_right, settings.slope)
    # A piece that no count knows is as welcome anywhere as in the dustbin, and a little more.
    news = table.new_source[left][:, :, None] | table.new_target[right][:, None]
    found = np.where(news, np.float32(2 * settings.dustbin), found)
    kernel *= found
    if settings.expectation == "transport":
        kernel += _FLOOR
        return transport_expectation(kernel, real_left, real_right, settings.dustbin, settings.iterations)
    # found = c / sqrt(r s) with the margins r and s of the counts c: t(e|f) = c / r and t(f|e) = c / s.
    ratio = np.sqrt(table.target_margin[right][:, None] / table.source_margin[left][:, :, None])
    ratio[news] = 1
    return agreed_expectation(kernel * ratio, kernel / ratio, real_left, real_right, settings.dustbin)


def _chunks(sources: PieceSequences, targets: PieceSequences) -> Iterator[list[np.ndarray]]:
    """Yield blocks of pairs, as many as are looked up together."""
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
    """Counts divided by the roots of both margins, and what a look-up needs besides.

    Attributes:
        scores: ``c[f, e] / sqrt(r[f] s[e])``, the geometric mean of ``t(e | f)`` and ``t(f | e)``.
        source_margin: ``r``, 1 where there is no count; for the padding at the end, too.
        target_margin: ``s``, likewise.
        new_source: Which source pieces have no count; the padding at the end is not new.
        new_target: Likewise.
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
        """The score of every couple of places of some blocks, ``(pairs, m, n)`` each; of padding, anything."""
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
    """Counts of couples, added up whenever many are held."""

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
