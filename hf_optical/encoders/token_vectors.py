"""Ragged token vectors: one flat array of rows with the position of each text's rows, without padding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class TokenVectors:
    """Token vectors of ``n`` texts in one flat array, in any order of the texts.

    Texts are encoded longest first, and their rows are kept in that order; ``starts`` undoes it. The flat array may be
    memory-mapped, so that a corpus larger than the memory can be searched.

    Args:
        values: All rows, shape ``(total_tokens, dimension)``.
        starts: First row of each text, shape ``(n,)``, int64.
        lengths: Number of rows of each text, shape ``(n,)``, int64.

    Example:
        >>> tokens = TokenVectors.from_list([np.ones((2, 3), np.float32), np.zeros((1, 3), np.float32)])
        >>> len(tokens), tokens[1].tolist(), tokens.dimension
        (2, [[0.0, 0.0, 0.0]], 3)
    """

    values: np.ndarray
    starts: np.ndarray
    lengths: np.ndarray

    @classmethod
    def from_list(cls, arrays: Sequence[np.ndarray]) -> TokenVectors:
        """Pack arrays of shape ``(tokens_i, dimension)`` into one; an empty sequence gives dimension 0."""
        lengths = np.array([len(array) for array in arrays], dtype=np.int64)
        values = np.concatenate(arrays) if len(arrays) else np.zeros((0, 0), dtype=np.float32)
        return cls(values, np.cumsum(lengths) - lengths, lengths)

    @property
    def dimension(self) -> int:
        """Width of one token vector."""
        return int(self.values.shape[1])

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int) -> np.ndarray:
        if not -len(self) <= index < len(self):
            raise IndexError(f"text {index} of {len(self)}")
        start = int(self.starts[index])
        return self.values[start : start + int(self.lengths[index])]

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[index] for index in range(len(self)))
