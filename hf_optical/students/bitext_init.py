"""Initialisation of embedding rows from bitext, as means of the teacher's rows of aligned English pieces.

The mean of the teacher's rows for a piece's surface form (`embedding_init`) has little relation to its meaning, and
none in another script. Sentence pairs provide more information: two lexical models (IBM Model 1 in both directions)
estimate the English pieces that translate a piece, entropic transport within each pair sharpens the estimate, and the
row becomes the weighted mean of these pieces' rows. No gradient step is needed.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from scipy.sparse import coo_array, csr_array
from sentence_transformers import MultiVectorEncoder, SentenceTransformer
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from hf_optical.encoders.parts import Encoder, embeddings_of, tokenizer_of, transformer_of
from hf_optical.errors import InputError
from hf_optical.students.alignment_counts import alignment_counts
from hf_optical.students.piece_sequences import PieceSequences
from hf_optical.students.sequence_counts import SequenceModel, sequence_counts

__all__ = ["TRANSPORT", "AlignedRows", "aligned_rows", "bitext_counts", "initialise_from_bitext"]

logger = logging.getLogger(__name__)

TRANSPORT = SequenceModel()
"""Sinkhorn-EM with the settings that were best on held-out pairs."""

_MAX_CELLS = 20_000_000  # couples of pieces that the lexical models keep in memory, at a peak of some 55 bytes each
_LEXICAL_PAIRS = 20_000  # pairs for the lexical models, whose estimate is only the start of the transport
_TOKENISED = 10_000  # texts that are tokenized at a time, because the tokenizer's results are large


@dataclass(frozen=True)
class AlignedRows:
    """Result of `initialise_from_bitext`.

    Attributes:
        pairs: Number of sentence pairs used.
        pairs_left_out: Number of pairs not used: beyond ``max_pairs`` or (without transport) the memory limit, or
            without a known piece on one side.
        rows: Number of embedding rows written.
        coverage: Share of the tokens in these translations whose row was written, 0 to 1.
    """

    pairs: int
    pairs_left_out: int
    rows: int
    coverage: float


def aligned_rows(
    counts: csr_array, teacher_rows: Tensor, fallback_rows: Tensor, top: int = 10, strength: float = 0.1
) -> Tensor:
    """Compute the embedding row of each piece as the mean of the teacher's rows of its translations.

    With counts ``c`` of a piece, the teacher's rows ``E`` and their mean ``m``, the row is
    ``x = (sum_e c[e] E[e] + strength * fallback) / (sum_e c[e] + strength)``. Its distance from ``m`` is then scaled to
    the median distance of the teacher's rows, because a mean of rows is closer to ``m`` than the rows with which the
    teacher's body was trained.

    Args:
        counts: Expected alignments from `alignment_counts`, ``(pieces, teacher's vocabulary)``.
        teacher_rows: The teacher's embedding rows, ``(teacher's vocabulary, width)``.
        fallback_rows: The present rows, ``(pieces, width)``.
        top: Number of translations of a piece to use, those with the largest counts.
        strength: Weight of the present row, as a number of alignments, at least 0.

    Returns:
        Rows, ``(pieces, width)``, in the precision and on the device of ``fallback_rows``. The row of a piece without
        alignments is not changed.

    Raises:
        InputError: The shapes do not fit, ``top`` is below 1, or ``strength`` is negative.

    Example:
        >>> rows = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
        >>> counts = csr_array(np.array([[0.0, 0.0, 9.0, 0.0], [0.0, 0.0, 0.0, 0.0]]))
        >>> aligned_rows(counts, rows, torch.zeros(2, 2)).round(decimals=4).tolist()
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
    alignment: SequenceModel | None = TRANSPORT,
    rows: Literal["new", "all"] = "all",
    max_pairs: int = 200_000,
    iterations: int = 4,
    seed: int = 0,
) -> AlignedRows:
    """Initialize the student's word embeddings, in place, from alignments of its pieces in bitext.

    The student must be one that `grow_student` made from this teacher, so that their rows are in one space. Other
    weights, special and added tokens, and pieces that are not aligned in these pairs are not changed.

    Args:
        student: The student, whose embedding table is changed.
        teacher: The teacher, which is not changed.
        sources: English sentences.
        translations: The same sentences in the student's language.
        alignment: Settings of the alignment by transport within each pair (`sequence_counts`), which starts from two
            lexical models. ``None`` uses the lexical models alone.
        rows: ``"all"`` writes the row of every piece in the translations, including pieces of the teacher, which
            seldom have the same meaning in English. ``"new"`` writes only rows of pieces that the teacher does not
            have, for a student that is to read English too.
        max_pairs: Largest number of pairs to use, drawn with ``seed``. The lexical models use at most 20,000 of them,
            and fewer if sentences are so long that there are more than 20 million couples of pieces. Transport uses
            all.
        iterations: Rounds of EM of the lexical models.
        seed: Random seed of the drawn pairs.

    Returns:
        Numbers of pairs and rows.

    Raises:
        InputError: The sides differ in number or are empty, no pair can be used, ``rows``, ``max_pairs`` or
            ``iterations`` is out of range, or the student's rows have another width than the teacher's.

    Example:
        >>> student = grow_student(teacher, bitext["translation"])  # doctest: +SKIP
        >>> initialise_from_bitext(student, teacher, bitext["source"], bitext["translation"])  # doctest: +SKIP
        AlignedRows(pairs=41482, pairs_left_out=0, rows=19022, coverage=0.99)
    """
    if rows not in ("new", "all"):
        raise InputError(f"rows is {rows!r}", "use 'new' or 'all'", field="rows")
    reader, writer = (tokenizer_of(transformer_of(model)) for model in (teacher, student))
    table, known = _table(student), _table(teacher).detach()
    if table.shape[1] != known.shape[1]:
        raise InputError(
            f"the student's embedding rows have {table.shape[1]} dimensions and the teacher's {known.shape[1]}",
            "give a student that grow_student made from this teacher",
        )
    found = bitext_counts(
        student,
        teacher,
        sources,
        translations,
        alignment=alignment,
        max_pairs=max_pairs,
        iterations=iterations,
        seed=seed,
    )
    chosen = np.asarray(found.counts.sum(axis=1)) > 0
    if rows == "new":
        old = reader.get_vocab()
        chosen[[i for piece, i in writer.get_vocab().items() if old.get(piece) == i]] = False
    with torch.no_grad():
        where = torch.from_numpy(chosen).to(table.device)
        table[where] = aligned_rows(found.counts, known, table)[where]
    report = AlignedRows(
        pairs=len(found.foreign),
        pairs_left_out=len(sources) - len(found.foreign),
        rows=int(chosen.sum()),
        coverage=float(chosen[found.foreign.pieces].mean()),
    )
    logger.info("embedding rows from bitext: %s", report)
    return report


@dataclass(frozen=True)
class BitextCounts:
    """Result of `bitext_counts`.

    Attributes:
        counts: Expected numbers of alignments, ``(student's vocabulary, teacher's vocabulary)``.
        foreign: Pieces of the translations that were used.
    """

    counts: csr_array
    foreign: PieceSequences


def bitext_counts(
    student: Encoder,
    teacher: Encoder,
    sources: Sequence[str],
    translations: Sequence[str],
    *,
    alignment: SequenceModel | None = TRANSPORT,
    max_pairs: int = 200_000,
    iterations: int = 4,
    seed: int = 0,
) -> BitextCounts:
    """Compute the expected number of alignments of each of the student's pieces with each of the teacher's pieces.

    Arguments and errors are those of `initialise_from_bitext`.
    """
    _check(sources, translations, max_pairs)
    reader, writer = (tokenizer_of(transformer_of(model)) for model in (teacher, student))
    most = max_pairs if alignment else min(max_pairs, _LEXICAL_PAIRS)
    drawn = np.sort(np.random.default_rng(seed).permutation(len(sources))[:most]).tolist()
    english = _sequences(reader, sources, drawn)
    foreign = _sequences(writer, translations, drawn)
    used = np.flatnonzero((english.lengths > 0) & (foreign.lengths > 0))
    if not len(used):
        raise InputError(
            "no pair has a known piece on both sides", "check that sources are English and translations are not"
        )
    few = _affordable(foreign, english, used, seed)
    shape = len(_table(student)), len(_table(teacher))
    counts = alignment_counts([foreign[i] for i in few], [english[i] for i in few], shape, iterations)
    if alignment is None:
        used = few
    else:
        counts = sequence_counts(foreign.only(used), english.only(used), counts, alignment)
    return BitextCounts(counts, foreign.only(used))


def _check(sources: Sequence[str], translations: Sequence[str], max_pairs: int) -> None:
    if max_pairs < 1:
        raise InputError(f"max_pairs is {max_pairs}", "give at least 1", field="max_pairs")
    if len(sources) != len(translations) or not len(sources):
        raise InputError(
            f"there are {len(sources)} sources and {len(translations)} translations",
            "give the two sides of a bitext, row by row",
        )


def _table(model: SentenceTransformer | MultiVectorEncoder) -> Tensor:
    return embeddings_of(transformer_of(model).model).weight


def _sequences(tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], chosen: list[int]) -> PieceSequences:
    """Tokenize the chosen texts into sequences of pieces, without special, unknown and added tokens."""
    leave_out = [*tokenizer.all_special_ids, *tokenizer.get_added_vocab().values()]
    parts = []
    for start in range(0, len(chosen), _TOKENISED):
        numbers = chosen[start : start + _TOKENISED]
        # A column of `datasets` reads many rows together much faster than single rows.
        some = [texts[i] for i in numbers] if isinstance(texts, list | tuple) else list(texts[numbers])  # type: ignore[call-overload]
        encoded = tokenizer(some, add_special_tokens=False, verbose=False)["input_ids"]
        rows = [np.asarray(row, dtype=np.int32) for row in encoded]
        parts.append(PieceSequences.of([row[~np.isin(row, leave_out)] for row in rows]))
    return PieceSequences.joined(parts)


def _affordable(foreign: PieceSequences, english: PieceSequences, used: np.ndarray, seed: int) -> np.ndarray:
    """Draw as many pairs as the lexical models have memory for."""
    order = np.random.default_rng(seed).permutation(used)[:_LEXICAL_PAIRS]
    sizes = np.cumsum(foreign.lengths[order] * english.lengths[order])
    within = order[: max(1, int(np.searchsorted(sizes, _MAX_CELLS, side="right")))]
    if len(within) < len(order):
        logger.warning(
            "sentences are long, so the lexical models use %d of %d pairs to limit memory", len(within), len(order)
        )
    return np.sort(within)


def _best(counts: csr_array, top: int) -> csr_array:
    """Keep the ``top`` largest counts of each row."""
    cells = counts.tocoo()
    order = np.lexsort((-cells.data, cells.row))
    row = cells.row[order]
    kept = order[np.arange(len(order)) - np.searchsorted(row, row) < top]
    return csr_array(coo_array((cells.data[kept], (cells.row[kept], cells.col[kept])), shape=counts.shape))
