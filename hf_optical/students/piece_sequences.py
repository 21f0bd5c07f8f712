"""Sequences of piece numbers in one flat array, and blocks of sentence pairs of similar lengths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from hf_optical.errors import InputError

PAD = -1


@dataclass(frozen=True)
class PieceSequences:
    """Sequences of piece numbers with four bytes per piece; sequence ``i`` is ``pieces[ends[i]:ends[i + 1]]``.

    Attributes:
        pieces: Piece numbers of all sequences one after the other, ``(pieces,)``, int32.
        ends: Zero, followed by the end of each sequence, ``(sequences + 1,)``, int64.

    Example:
        >>> PieceSequences.of([[5, 6], [7]]).padded([1, 0]).tolist()
        [[7, -1], [5, 6]]
    """

    pieces: np.ndarray
    ends: np.ndarray

    @classmethod
    def of(cls, rows: PieceSequences | Sequence[Sequence[int] | np.ndarray]) -> PieceSequences:
        """Store sequences of piece numbers."""
        if isinstance(rows, PieceSequences):
            return rows
        ends = np.cumsum([0, *(len(row) for row in rows)], dtype=np.int64)
        flat = [np.asarray(row, dtype=np.int32) for row in rows if len(row)]
        return cls(np.concatenate(flat) if flat else np.zeros(0, dtype=np.int32), ends)

    @classmethod
    def joined(cls, parts: Sequence[PieceSequences]) -> PieceSequences:
        """Return the sequences of all parts, one after the other."""
        before = np.cumsum([0, *(len(part.pieces) for part in parts)])
        ends = [part.ends[1:] + start for part, start in zip(parts, before, strict=False)]
        pieces = [np.zeros(0, dtype=np.int32), *(part.pieces for part in parts)]
        return cls(np.concatenate(pieces), np.concatenate([np.zeros(1, dtype=np.int64), *ends]))

    @property
    def lengths(self) -> np.ndarray:
        """Number of pieces of each sequence, ``(sequences,)``, int64."""
        return np.diff(self.ends)

    def __len__(self) -> int:
        return len(self.ends) - 1

    def __getitem__(self, row: int) -> np.ndarray:
        return self.pieces[self.ends[row] : self.ends[row + 1]]

    def only(self, rows: np.ndarray) -> PieceSequences:
        """Return the sequences with these numbers, in this order."""
        lengths = self.lengths[rows]
        ends = np.concatenate([[0], np.cumsum(lengths)])
        places = np.arange(ends[-1]) - np.repeat(ends[:-1], lengths) + np.repeat(self.ends[rows], lengths)
        return PieceSequences(self.pieces[places], ends)

    def padded(self, rows: np.ndarray | Sequence[int]) -> np.ndarray:
        """Return the sequences with these numbers as a table ``(rows, longest)``, padded with -1."""
        numbers = np.asarray(rows)
        lengths = self.lengths[numbers]
        places = np.arange(lengths.max())
        real = places < lengths[:, None]
        table = np.full(real.shape, PAD, dtype=np.int32)
        table[real] = self.pieces[(self.ends[numbers][:, None] + places)[real]]
        return table

    def check(self, size: int, name: str) -> None:
        """Check that all pieces are numbers from 0 to below ``size``.

        Raises:
            InputError: A piece is not; the message names its sequence.
        """
        wrong = np.flatnonzero((self.pieces < 0) | (self.pieces >= size))
        if len(wrong):
            raise InputError(
                f"found piece {self.pieces[wrong[0]]}, and the vocabulary has {size}",
                "give the ids of this vocabulary",
                row=int(np.searchsorted(self.ends, wrong[0], side="right")),
                field=name,
            )


def blocks_of_like_length(left: np.ndarray, right: np.ndarray, cells: int) -> Iterator[np.ndarray]:
    """Yield the numbers of sentence pairs in groups of similar lengths, of at most ``cells`` couples with padding.

    Pairs without a piece on one side are left out.

    Args:
        left: Length of the first sentence of each pair, ``(pairs,)``.
        right: Length of the second sentence, ``(pairs,)``.
        cells: Largest number of couples of positions (longest left times longest right times pairs) in a group with
            several pairs.

    Yields:
        Numbers of pairs, int64.

    Example:
        >>> [group.tolist() for group in blocks_of_like_length(np.array([2, 9, 2, 0]), np.array([3, 9, 2, 1]), 12)]
        [[2, 0], [1]]
    """
    there = np.flatnonzero((left > 0) & (right > 0))
    order = there[np.lexsort((right[there], left[there] // 4))]
    start, tall, wide = 0, 0, 0
    for end, (height, width) in enumerate(zip(left[order].tolist(), right[order].tolist(), strict=True)):
        taller, wider = max(tall, height), max(wide, width)
        if end > start and (end + 1 - start) * taller * wider > cells:
            yield order[start:end]
            start, taller, wider = end, height, width
        tall, wide = taller, wider
    if start < len(order):
        yield order[start:]
