"""Scores of how well the words of each side of a pair explain the other, by two lexical models learnt from the file.

IBM Model 1 (Brown et al. 1993, https://aclanthology.org/J93-2003/, section 4.1) is estimated in both directions with
two rounds of EM over five-letter stems. Each pair must be scored by a model that was learnt from the other folds of the
file; otherwise the model would have learnt rare words from the pair itself, and wrong pairs would get high scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hf_optical.doctor.word_hashes import Words

__all__ = ["BUCKETS", "Lexicon", "Stems", "content", "joined", "learn", "stems_of"]

BUCKETS = 1 << 20
"""Number of hash buckets of stems."""
_MOST_COUPLES = 1 << 21  # largest number of table entries for couples of stems
_MOST = 12  # number of stems of a side that are used, the rarest, which are the most informative
_LARGEST_SHARE = 0.3  # largest share of texts that contain a stem
_LEAST_ROWS = 2  # least number of texts that contain a stem
_CELLS = 300_000  # cells that are processed at a time, such that they fit into the processor's cache
_FEW = 1_000  # number of rows up to which texts of all lengths are padded to one shape
_FLOOR = np.float32(1e-3)  # lowest agreement, so that its logarithm is finite
_TINY = np.float32(1e-6)  # avoids division by zero
_PRIOR = np.float32(0.5)  # pseudo-count of every stem


@dataclass(frozen=True)
class Stems:
    """Distinct stems of some texts as hash buckets.

    Attributes:
        buckets: int32 numbers below 2**20; ``buckets[ends[i]:ends[i + 1]]`` are the stems of text i.
        ends: Number of stems before each text, ``(texts + 1,)``.
    """

    buckets: np.ndarray
    ends: np.ndarray

    @property
    def rows(self) -> np.ndarray:
        """Index of the text of each stem, ``(stems,)``."""
        return np.repeat(np.arange(len(self.ends) - 1), np.diff(self.ends))


def stems_of(words: Words) -> Stems:
    """Find the distinct stems of each text."""
    row = words.rows.astype(np.int64)
    both = np.sort((row << 20) | (words.stems >> np.uint64(44)).astype(np.int64))
    both = both[np.flatnonzero(np.diff(both, prepend=-1))]
    ends = np.searchsorted(both, np.arange(len(words.keys) + 1) << 20)
    return Stems((both & (BUCKETS - 1)).astype(np.int32), ends)


def joined(parts: Sequence[Stems]) -> Stems:
    """Concatenate the stems of chunks of texts."""
    before = np.cumsum([0, *(len(part.buckets) for part in parts)])
    ends = [np.zeros(1, dtype=np.int64), *(part.ends[1:] + start for part, start in zip(parts, before, strict=False))]
    buckets = [np.zeros(0, dtype=np.int32), *(part.buckets for part in parts)]
    return Stems(np.concatenate(buckets), np.concatenate(ends))


def content(source: Stems, translation: Stems) -> tuple[np.ndarray, np.ndarray, int]:
    """Choose up to 12 stems of each text, the rarest of those that occur in at least two and at most 30 % of the texts.

    Args:
        source: Stems of the English texts.
        translation: Stems of the translations.

    Returns:
        Tables of both sides, int32 ``(texts, 12)``, in which equal buckets have equal numbers below ``none``, padded
        with ``none``; and the number ``none``.
    """
    texts = len(source.ends) - 1
    kept = []
    used = np.zeros(BUCKETS, dtype=bool)
    for side in (source, translation):
        counts = np.bincount(side.buckets, minlength=BUCKETS)[side.buckets]
        chosen = np.flatnonzero((counts >= _LEAST_ROWS) & (counts <= max(_LARGEST_SHARE * texts, 10)))
        order = np.argsort((side.rows[chosen] << 24) | np.minimum(counts[chosen], (1 << 24) - 1), kind="stable")
        chosen = chosen[order]
        rows = side.rows[chosen]
        rank = np.arange(len(rows)) - np.searchsorted(rows, np.arange(texts))[rows]
        first = rank < _MOST
        used[side.buckets[chosen[first]]] = True
        kept.append((rows[first], rank[first], side.buckets[chosen[first]]))
    numbered = np.flatnonzero(used)
    none = len(numbered)
    number = np.zeros(BUCKETS, dtype=np.int32)
    number[numbered] = np.arange(none)
    tables = []
    for rows, rank, buckets in kept:
        table = np.full((texts, _MOST), none, dtype=np.int32)
        table[rows, rank] = number[buckets]
        tables.append(table)
    return tables[0], tables[1], none


@dataclass(frozen=True)
class Lexicon:
    """Expected counts of alignments of the two models: of targets given sources, and of sources given targets.

    Attributes:
        pairs: Expected count of every couple of stems, complex64 ``(couples,)``. It is a hash table of a power of two
            entries, which several couples may share. The real part belongs to the first model and the imaginary part to
            the second, so that one memory access reads both.
        totals: Expected count of every given stem, float32 ``(2, none + 1)``.
        none: The number with which the tables of stems are padded.
    """

    pairs: np.ndarray
    totals: np.ndarray
    none: int

    def score(self, source: np.ndarray, translation: np.ndarray) -> np.ndarray:
        """Compute how well each side of the pairs is explained by the other.

        Args:
            source: Stems of the English texts, ``(n, 12)``, from :func:`content`.
            translation: Stems of the translations, ``(n, 12)``. The lexicon must not have been learnt from these pairs.

        Returns:
            float32 ``(n, 2)``: for each side the mean over its stems of the logarithm of the best agreement with a stem
            of the other side, where the agreement is the geometric mean of the two probabilities; NaN if a side has no
            stems.
        """
        found = np.full((len(source), 2), np.nan, dtype=np.float32)
        for rows, width, height in _blocks(source, translation, self.none):
            found[rows] = _coverage(_Cells.of(source, translation, rows, width, height, self), self)
        return found


@dataclass(frozen=True)
class _Cells:
    """Couples of every source stem with every target stem of some texts. The texts are the last axis for speed.

    Attributes:
        left: Source stems, ``(width, texts)``.
        right: Target stems, ``(height, texts)``.
        couple: Entry of each couple in the hash table, ``(width, height, texts)``.
        there: 1 if both stems are real and 0 if one is padding, float32 ``(width, height, texts)``.
    """

    left: np.ndarray
    right: np.ndarray
    couple: np.ndarray
    there: np.ndarray

    @classmethod
    def of(
        cls, source: np.ndarray, translation: np.ndarray, rows: np.ndarray, width: int, height: int, lexicon: Lexicon
    ) -> _Cells:
        """Build the cells of some rows of the tables, with the first stems of both sides."""
        shown = source[rows, :width], translation[rows, :height]
        left, right = (np.ascontiguousarray(side.T, dtype=np.intp) for side in shown)
        mixed = (left.astype(np.uint32) * np.uint32(0x9E3779B1))[:, None] ^ (
            right.astype(np.uint32) * np.uint32(0x85EBCA77)
        )
        mixed *= np.uint32(0xC2B2AE35)
        mixed >>= np.uint32(33 - len(lexicon.pairs).bit_length())
        there = (left != lexicon.none)[:, None] & (right != lexicon.none)
        return cls(left, right, mixed.astype(np.intp), there.astype(np.float32))


def _coverage(cells: _Cells, lexicon: Lexicon) -> np.ndarray:
    """Compute the scores of :meth:`Lexicon.score` for the texts of some cells, ``(texts, 2)``."""
    known = lexicon.pairs[cells.couple]
    agreement = known.real * cells.there
    agreement /= (lexicon.totals[0] + _PRIOR)[cells.left][:, None]
    agreement *= known.imag
    agreement /= (lexicon.totals[1] + _PRIOR)[cells.right]
    sides = []
    for axis, stems in ((1, cells.left), (0, cells.right)):
        real = stems != lexicon.none
        best = np.log(np.sqrt(agreement.max(axis=axis)) + _FLOOR)
        sides.append((best * real).sum(axis=0) / real.sum(axis=0))
    return np.column_stack(sides)


def learn(source: np.ndarray, translation: np.ndarray, none: int, rounds: int = 2) -> Lexicon:
    """Estimate both models by expectation maximisation.

    Args:
        source: Stems of the English texts, ``(n, 12)``, from :func:`content`.
        translation: Stems of the translations, ``(n, 12)``.
        none: The number with which the tables are padded.
        rounds: Number of rounds of EM. Default 2.
    """
    blocks = _blocks(source, translation, none)
    size = sum(len(rows) * width * height for rows, width, height in blocks)
    places = min(_MOST_COUPLES, max(1 << 14, 1 << int(2 * size).bit_length()))
    lexicon = _nothing(places, none)
    parts = [_Cells.of(source, translation, rows, width, height, lexicon) for rows, width, height in blocks]
    for number in range(rounds):
        counted = _nothing(places, none)
        for cells in parts:
            known = lexicon.pairs[cells.couple] if number else None
            shares = np.empty(cells.couple.shape, dtype=np.complex64)
            # In the first model the shares of each target sum to one over the sources (axis 0), in the second those of
            # each source over the targets (axis 1).
            for axis, given in ((0, cells.left), (1, cells.right)):
                share = cells.there
                if known is not None:
                    share = share * (known.imag if axis else known.real)
                    share /= np.expand_dims((lexicon.totals[axis] + _PRIOR)[given], 1 - axis)
                share = share / np.maximum(share.sum(axis=axis, keepdims=True), _TINY)
                np.add.at(counted.totals[axis], given.ravel(), share.sum(axis=1 - axis).ravel())
                if axis:
                    shares.imag = share
                else:
                    shares.real = share
            np.add.at(counted.pairs, cells.couple.ravel(), shares.ravel())
        lexicon = counted
    return lexicon


def _nothing(places: int, none: int) -> Lexicon:
    """Create a lexicon whose counts are zero."""
    return Lexicon(np.zeros(places, dtype=np.complex64), np.zeros((2, none + 1), dtype=np.float32), none)


def _blocks(source: np.ndarray, translation: np.ndarray, none: int) -> list[tuple[np.ndarray, int, int]]:
    """Group the rows with stems on both sides by their numbers of stems.

    Returns:
        For each group the row indices, and the largest numbers of source stems and of target stems.
    """
    # Groups reduce padding but need more calls, so few rows form one group.
    like = 4 if len(source) > _FEW else _MOST
    sizes = [-(-(table != none).sum(axis=1) // like) * like for table in (source, translation)]
    shape = np.where((sizes[0] > 0) & (sizes[1] > 0), sizes[0] * 100 + sizes[1], 0)
    blocks = []
    for value in np.unique(shape[shape > 0]):
        rows, width, height = np.flatnonzero(shape == value), int(value) // 100, int(value) % 100
        step = max(1, _CELLS // (width * height))
        blocks += [(rows[start : start + step], width, height) for start in range(0, len(rows), step)]
    return blocks
