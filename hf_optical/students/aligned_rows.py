"""First embedding rows from bitext: each piece begins at the teacher's rows of the English pieces it is aligned with.

The mean of the teacher's rows for a piece's surface form (`rows`) says little about its meaning, and nothing at all in
another script. Sentence pairs say more: two lexical models (IBM Model 1 in both directions) estimate which English
pieces a piece is translated by, and its row becomes their weighted mean. This needs no gradient step.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from scipy.sparse import coo_array, csr_array
from sentence_transformers import MultiVectorEncoder, SentenceTransformer
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from hf_optical.errors import InputError
from hf_optical.students.parts import Encoder, embeddings_of, tokenizer_of, transformer_of

__all__ = ["AlignedRows", "aligned_rows", "alignment_counts", "initialise_from_bitext"]

logger = logging.getLogger(__name__)

_MAX_CELLS = 25_000_000  # (piece, piece) cells of all pairs together: some 25 bytes each at the peak
_BLOCK = 200_000  # cells worked on at a time: what fits a processor's cache
_LEAST_COUNT = 1e-4  # expected alignments below this are dropped: they are many and move no row
_TINY = np.float32(1e-30)


@dataclass(frozen=True)
class AlignedRows:
    """What `initialise_from_bitext` did.

    Attributes:
        pairs: Sentence pairs used.
        pairs_left_out: Pairs not used: beyond ``max_pairs`` or the memory limit, or with a side that has no known piece.
        rows: Embedding rows written.
        coverage: Share of the student's tokens in these translations whose row was written, 0 to 1.
    """

    pairs: int
    pairs_left_out: int
    rows: int
    coverage: float


@dataclass(frozen=True)
class _Cells:
    """Every (source piece, target piece) of every pair, the empty piece included, as numbers of distinct couples.

    Attributes:
        sources: Source piece of each couple, ``(couples,)``; the empty piece has the number after the last.
        targets: Target piece of each couple, likewise.
        couple: Couple of each cell, block after block; ``couples`` where a block is padded.
        blocks: Of each block its pairs, longest source and longest target.
    """

    sources: np.ndarray
    targets: np.ndarray
    couple: np.ndarray
    blocks: list[tuple[int, int, int]]

    def posterior(self, table: np.ndarray, axis: int) -> np.ndarray:
        """Return ``table`` at each cell, normalised over the cells of the same pair along ``axis``."""
        cells, start = table[self.couple], 0
        for shape in self.blocks:
            block = cells[start : start + np.prod(shape)].reshape(shape)
            block /= np.maximum(block.sum(axis + 1, keepdims=True), _TINY)
            start += block.size
        return cells

    def total(self, cells: np.ndarray) -> np.ndarray:
        """Return the sum over the cells of each couple, ``(couples,)``."""
        return np.bincount(self.couple, cells, len(self.sources) + 1)[:-1]


def alignment_counts(
    source_ids: Sequence[Sequence[int]],
    target_ids: Sequence[Sequence[int]],
    shape: tuple[int, int],
    iterations: int = 4,
) -> csr_array:
    """Count how often each source piece is aligned with each target piece, in expectation.

    IBM Model 1 (Brown et al. 1993, https://aclanthology.org/J93-2003/, section 4.1) is estimated by EM in both
    directions, each with an empty piece. The count adds up the products of the two models' posteriors, so that only
    what both agree on counts (Liang et al. 2006, https://aclanthology.org/N06-1014/): this keeps frequent words and
    rare "garbage collectors" out of each other's translations. A sentence is the set of its pieces.

    Args:
        source_ids: Pieces of each source sentence, numbers below ``shape[0]``, without special tokens.
        target_ids: Pieces of each translation, numbers below ``shape[1]``.
        shape: Sizes of the two vocabularies.
        iterations: Rounds of EM, at least 1.

    Returns:
        Sparse float64 counts of that shape. A row divided by its sum is the probability of each translation.

    Raises:
        InputError: If the two sides differ in number, a piece is out of range, or ``iterations`` is below 1.

    Example:
        >>> counts = alignment_counts([[0, 1], [0, 2], [1, 2]], [[5, 6], [5, 7], [6, 7]], (3, 8), iterations=9)
        >>> counts.argmax(axis=1).tolist()
        [5, 6, 7]
    """
    if len(source_ids) != len(target_ids):
        raise InputError(
            f"there are {len(source_ids)} source sentences and {len(target_ids)} translations",
            "give one translation for each sentence",
        )
    if iterations < 1:
        raise InputError(f"iterations is {iterations}", "give at least 1", field="iterations")
    sides = [
        _bags(rows, size, name)
        for rows, size, name in zip((source_ids, target_ids), shape, ("source_ids", "target_ids"), strict=True)
    ]
    if not source_ids:
        return csr_array(shape, dtype=np.float64)
    cells = _cells(sides[0], sides[1], shape)
    # Targets drawn given sources (axis 0 competes), and sources given targets. Nothing draws the empty piece.
    given = (cells.sources, cells.targets)
    tables = [
        np.append(cells.targets < shape[1], False).astype(np.float32),
        np.append(cells.sources < shape[0], False).astype(np.float32),
    ]
    for _ in range(iterations):
        for axis, table in enumerate(tables):
            counts = cells.total(cells.posterior(table, axis))
            table[:-1] = counts / np.maximum(np.bincount(given[axis], counts), _TINY)[given[axis]]
    agreed = cells.total(cells.posterior(tables[0], 0) * cells.posterior(tables[1], 1))
    kept = (cells.sources < shape[0]) & (cells.targets < shape[1]) & (agreed > _LEAST_COUNT)
    return csr_array(coo_array((agreed[kept], (cells.sources[kept], cells.targets[kept])), shape=shape))


def aligned_rows(
    counts: csr_array, teacher_rows: Tensor, fallback_rows: Tensor, top: int = 10, strength: float = 0.1
) -> Tensor:
    """Return the embedding row of each source piece: the mean of the teacher's rows of its translations.

    With counts ``c`` of piece ``f``, teacher's rows ``E`` and their mean ``m``, the row is
    ``x = (sum_e c[e] E[e] + strength * fallback) / (sum_e c[e] + strength)``, its distance from ``m`` then made the
    median distance of the teacher's rows: a mean lies closer to ``m`` than any row that the teacher's body was trained
    with.

    Args:
        counts: What `alignment_counts` returned, ``(pieces, teacher's vocabulary)``.
        teacher_rows: The teacher's embedding rows, ``(teacher's vocabulary, width)``.
        fallback_rows: The rows so far, ``(pieces, width)``.
        top: How many translations of a piece count.
        strength: How many alignments the row so far is worth, at least 0.

    Returns:
        ``(pieces, width)`` in the precision and on the device of ``fallback_rows``. A piece without any alignment
        keeps its row as it is.

    Raises:
        InputError: If the shapes do not fit, ``top`` is below 1 or ``strength`` negative.

    Example:
        >>> rows = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        >>> counts = csr_array(np.array([[0.0, 0.0, 9.0, 0.0], [0.0, 0.0, 0.0, 0.0]]))
        >>> aligned_rows(counts, rows, torch.zeros(2, 2)).tolist()
        [[0.0, 1.0], [0.0, 0.0]]
    """
    expected = (len(fallback_rows), len(teacher_rows))
    if counts.shape != expected or fallback_rows.shape[1:] != teacher_rows.shape[1:]:
        raise InputError(
            f"counts {counts.shape}, teacher_rows {tuple(teacher_rows.shape)} and fallback_rows "
            f"{tuple(fallback_rows.shape)} do not fit",
            "counts must be (pieces, teacher's vocabulary), and both tables equally wide",
        )
    if top < 1 or strength < 0:
        raise InputError(f"top is {top} and strength is {strength}", "give top >= 1 and strength >= 0")
    teacher, fallback = (rows.detach().float().cpu() for rows in (teacher_rows, fallback_rows))
    best = _best(counts, top)
    evidence = torch.from_numpy(np.asarray(best.sum(axis=1))).float()[:, None]
    sums = torch.from_numpy(best.astype(np.float32) @ teacher.numpy())
    seen = evidence[:, 0] > 0
    mixed = (sums + strength * fallback)[seen] / (evidence[seen] + strength)
    centre = teacher.mean(0)
    radius = (teacher - centre).norm(dim=1).median()
    offset = mixed - centre
    rows = fallback.clone()
    rows[seen] = centre + offset * (radius / offset.norm(dim=1, keepdim=True).clamp_min(1e-12))
    return rows.to(fallback_rows)


def initialise_from_bitext(
    student: Encoder,
    teacher: Encoder,
    sources: Sequence[str],
    translations: Sequence[str],
    *,
    rows: Literal["new", "all"] = "all",
    max_pairs: int = 20_000,
    iterations: int = 4,
    seed: int = 0,
) -> AlignedRows:
    """Write the student's word embeddings anew, from what the bitext says its pieces mean; in place.

    For a student that `grow_student` made from this teacher: their rows must lie in one space. Other weights, special
    and added tokens, and pieces that these pairs do not align keep what they have.

    Args:
        student: The student; its embedding table is changed.
        teacher: The teacher; not changed.
        sources: English sentences.
        translations: The same sentences in the language of the student.
        rows: ``"all"``: every piece that the translations hold, also those that the teacher has, whose meaning in
            English is seldom theirs in the other language. ``"new"``: only pieces that the teacher lacks, for a student
            that is to read English too.
        max_pairs: The most pairs to use, drawn with ``seed``. Twenty thousand take some seconds and less than a
            gigabyte; past 25 million couples of pieces, fewer pairs are used.
        iterations: Rounds of EM.
        seed: Seeds the draw.

    Returns:
        Counts of pairs and rows.

    Raises:
        InputError: If the sides differ in number or are empty, no pair can be used, ``rows``, ``max_pairs`` or
            ``iterations`` is out of range, or the student's rows are not as wide as the teacher's.

    Example:
        >>> student = grow_student(teacher, bitext["translation"])  # doctest: +SKIP
        >>> initialise_from_bitext(student, teacher, bitext["source"], bitext["translation"])  # doctest: +SKIP
        AlignedRows(pairs=20000, pairs_left_out=21482, rows=17921, coverage=0.99)
    """
    _check(sources, translations, rows, max_pairs)
    reader, writer = (tokenizer_of(transformer_of(model)) for model in (teacher, student))
    table, known = _table(student), _table(teacher).detach()
    if table.shape[1] != known.shape[1]:
        raise InputError(
            f"the student's embedding rows have {table.shape[1]} dimensions and the teacher's {known.shape[1]}",
            "give a student that grow_student made from this teacher",
        )
    drawn = np.sort(np.random.default_rng(seed).permutation(len(sources))[:max_pairs]).tolist()
    english = _ids(reader, [sources[i] for i in drawn])
    foreign = _ids(writer, [translations[i] for i in drawn])
    used = _affordable(foreign, english, seed)
    if not used:
        raise InputError(
            "no pair has a known piece on both sides", "check that sources are English and translations are not"
        )
    foreign, english = [foreign[i] for i in used], [english[i] for i in used]
    counts = alignment_counts(foreign, english, (len(table), len(known)), iterations)
    chosen = np.asarray(counts.sum(axis=1)) > 0
    if rows == "new":
        chosen[[i for piece, i in writer.get_vocab().items() if reader.get_vocab().get(piece) == i]] = False
    tokens = np.concatenate(foreign)
    with torch.no_grad():
        where = torch.from_numpy(chosen).to(table.device)
        table[where] = aligned_rows(counts, known, table)[where]
    report = AlignedRows(
        pairs=len(used),
        pairs_left_out=len(sources) - len(used),
        rows=int(chosen.sum()),
        coverage=float(chosen[tokens].mean()),
    )
    logger.info("embedding rows from bitext: %s", report)
    return report


def _check(sources: Sequence[str], translations: Sequence[str], rows: str, max_pairs: int) -> None:
    if rows not in ("new", "all"):
        raise InputError(f"rows is {rows!r}", "use 'new' or 'all'", field="rows")
    if max_pairs < 1:
        raise InputError(f"max_pairs is {max_pairs}", "give at least 1", field="max_pairs")
    if len(sources) != len(translations) or not len(sources):
        raise InputError(
            f"there are {len(sources)} sources and {len(translations)} translations",
            "give the two sides of a bitext, row by row",
        )


def _table(model: SentenceTransformer | MultiVectorEncoder) -> Tensor:
    return embeddings_of(transformer_of(model).model).weight


def _ids(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> list[np.ndarray]:
    """Return the pieces of each text, without special, unknown and added ones."""
    leave_out = [*tokenizer.all_special_ids, *tokenizer.get_added_vocab().values()]
    encoded = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
    rows = [np.asarray(row, dtype=np.int64) for row in encoded]
    return [row[~np.isin(row, leave_out)] for row in rows]


def _affordable(foreign: list[np.ndarray], english: list[np.ndarray], seed: int) -> list[int]:
    """Return the pairs with pieces on both sides, in a drawn order, as many as memory is meant for."""
    sizes = np.array([len(f) * len(e) for f, e in zip(foreign, english, strict=True)])
    order = np.random.default_rng(seed).permutation(np.flatnonzero(sizes))
    within = order[np.cumsum(sizes[order]) <= _MAX_CELLS]
    if len(within) < len(order):
        logger.warning("sentences are long: %d of %d pairs are used for embedding rows", len(within), len(order))
    return np.sort(within).tolist()


def _bags(rows: Iterable[Sequence[int]], size: int, name: str) -> list[np.ndarray]:
    """Return each sentence as the sorted set of its pieces, then the empty piece."""
    bags = [np.unique(np.asarray(row, dtype=np.int64)) for row in rows]
    for number, bag in enumerate(bags, start=1):
        if len(bag) and not 0 <= bag[0] <= bag[-1] < size:
            raise InputError(
                f"found piece {bag[0] if bag[0] < 0 else bag[-1]}, and the vocabulary has {size}",
                "give the ids of this vocabulary",
                row=number,
                field=name,
            )
    return [np.append(bag, size) for bag in bags]


def _cells(sources: list[np.ndarray], targets: list[np.ndarray], shape: tuple[int, int]) -> _Cells:
    width = shape[1] + 1
    # The sparse product finds the couples that occur without a list of all cells.
    occur = csr_array(_incidence(sources, shape[0] + 1).T @ _incidence(targets, width))
    occur.sort_indices()
    first = np.repeat(np.arange(shape[0] + 1), np.diff(occur.indptr))
    keys = first * width + occur.indices
    couples, blocks = [], []
    for pairs in _grouped([len(bag) for bag in sources], [len(bag) for bag in targets]):
        left, right = (_padded([bags[i] for i in pairs]) for bags in (sources, targets))
        wanted = np.where((left < 0)[:, :, None] | (right < 0)[:, None], -1, left[:, :, None] * width + right[:, None])
        found = np.searchsorted(keys, wanted.ravel()).astype(np.int32)
        found[wanted.ravel() < 0] = len(keys)
        couples.append(found)
        blocks.append((len(pairs), left.shape[1], right.shape[1]))
    return _Cells(first, occur.indices, np.concatenate(couples), blocks)


def _incidence(bags: list[np.ndarray], columns: int) -> csr_array:
    ends = np.cumsum([0, *(len(bag) for bag in bags)])
    return csr_array((np.ones(ends[-1], dtype=np.int32), np.concatenate(bags), ends), shape=(len(bags), columns))


def _grouped(left: list[int], right: list[int]) -> Iterable[list[int]]:
    """Yield pairs of like lengths in groups of some `_BLOCK` cells, padding counted."""
    group: list[int] = []
    longest = 0
    for i in np.lexsort((right, left)).tolist():
        # Ordered by the left length, so that of pair i is the group's longest.
        if group and (len(group) + 1) * left[i] * max(longest, right[i]) > _BLOCK:
            yield group
            group, longest = [], 0
        group.append(i)
        longest = max(longest, right[i])
    if group:
        yield group


def _padded(bags: list[np.ndarray]) -> np.ndarray:
    padded = np.full((len(bags), max(map(len, bags))), -1, dtype=np.int64)
    for row, bag in zip(padded, bags, strict=True):
        row[: len(bag)] = bag
    return padded


def _best(counts: csr_array, top: int) -> csr_array:
    """Keep the ``top`` greatest counts of each row."""
    cells = counts.tocoo()
    order = np.lexsort((-cells.data, cells.row))
    row = cells.row[order]
    kept = order[np.arange(len(order)) - np.searchsorted(row, row) < top]
    return csr_array(coo_array((cells.data[kept], (cells.row[kept], cells.col[kept])), shape=counts.shape))
