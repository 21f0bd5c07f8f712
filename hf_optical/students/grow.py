"""Growing of a student from the teacher, with the teacher's weights and its own, an extended or a new vocabulary."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable
from copy import deepcopy
from typing import Any

import torch
from sentence_transformers.base.modules import Transformer
from torch import Tensor
from transformers import PreTrainedModel

from hf_optical.encoders.parts import (
    Encoder,
    assembled,
    embeddings_of,
    keep_layers,
    rebuilt_tokenizer,
    rebuilt_transformer,
    tokenizer_of,
    transformer_of,
)
from hf_optical.errors import InputError
from hf_optical.students.embedding_init import (
    Lexicon,
    SurfaceForms,
    initial_rows,
    lexicon_ids,
    normalizer_of,
    source_ids,
    word_of,
)
from hf_optical.students.learning import learn_pieces
from hf_optical.students.marks import KeepMarks, check_keep_marks, student_normalizer, unmarked_copies
from hf_optical.students.normal_form import composed_first, generic_class, read_one_form
from hf_optical.students.replace import replaced
from hf_optical.students.spared_english import spare_english
from hf_optical.students.vocabulary import check_texts, extended, kind_of, size_of

logger = logging.getLogger(__name__)

VOCABULARIES = ("copy", "extend", "replace")
DEFAULT_SIZE = 40_000
"""Default vocabulary size of a grown student."""
_MORE = 5_000  # pieces that are added to a larger vocabulary


def grow_student(
    teacher: Encoder,
    texts: Iterable[str] | None = None,
    vocabulary: str = "extend",
    vocab_size: int | None = None,
    num_layers: int | None = None,
    lexicon: Lexicon | None = None,
    seed: int = 0,
    *,
    new_pieces: int | None = None,
    english: Iterable[str] | None = None,
    keep_marks: KeepMarks = "auto",
) -> Encoder:
    """Make a student from the teacher itself, if there is no multilingual encoder or a small student is wanted.

    Args:
        teacher: A `SentenceTransformer` or `MultiVectorEncoder` whose first module is a `Transformer`; it is not
            changed.
        texts: Sentences of the new language (one side of the bitext); not needed for ``"copy"``. A list or a column of
            `datasets` is not copied, and an iterator is read into memory.
        vocabulary: ``"copy"`` keeps the teacher's weights and tokenizer. ``"extend"`` keeps the teacher's pieces with
            their rows and adds pieces learnt from ``texts``. ``"replace"`` puts a new Unigram vocabulary in the style
            of XLM-R under the teacher's body; a BERT body is moved to an ``XLMRobertaModel``, and other bodies keep
            their class.
        vocab_size: Size of the student's whole vocabulary; see `vocabulary_size` for the default. Fewer pieces are
            learnt if the texts do not have as many.
        num_layers: Number of the teacher's layers to keep, evenly spaced, including the first and the last; ``None``
            for all.
        lexicon: English translations by word of the new language. The row of a new piece that is a whole word in it is
            the mean of the translations' rows instead of that of its surface form.
        seed: Random seed for rows of pieces of which no part is in the teacher's vocabulary.
        new_pieces: Number of pieces to add with ``"extend"``, in place of ``vocab_size``.
        english: English texts whose segmentation is to be kept, for ``"extend"`` on a Unigram vocabulary (XLM-R, e5).
            New pieces that would change it are not added.
        keep_marks: What a student with new pieces does with accents and tone marks. ``"auto"``: an extended student
            strips them if its teacher does, unless the texts' script writes vowels as marks; a replaced vocabulary
            keeps them. ``True``: marks that the language uses are kept, and pieces are learnt from the texts without
            their marks too, for users who do not type them. ``False``: marks are stripped if the teacher strips them.

    Returns:
        A new model of the teacher's class with modules of Sentence Transformers only, so that a saved folder can be
        loaded without ``trust_remote_code``.

    Raises:
        InputError: The ``vocabulary`` is unknown, texts are missing or empty, the vocabulary size leaves no room for
            new pieces, the number of layers is out of range, the tokenizer is not WordPiece, Unigram or BPE, or
            ``keep_marks`` is given for a copy.

    Note:
        New rows are means of the teacher's rows for the piece's text (Sachidananda et al. 2021,
        https://aclanthology.org/2021.sustainlp-1.16/). WordPiece segments by longest match, so that an extended student
        may segment English text differently from the teacher; it is meant for the other language. A teacher that strips
        accents would delete the vowel signs of Devanagari and other scripts whose vowels are combining marks. If the
        texts have such marks, the student's normalizer keeps all marks. Composed and decomposed letters are treated as
        equal.

        With ``keep_marks=True`` on such a teacher, the student strips the marks that its language does not use, as the
        teacher does, and reads the others as signs of their own behind their letter. In Igbo, English "naïve" is then
        cut as by the teacher, and "café" into the pieces of "cafe" and one for the accent.

    Example:
        >>> grow_student(teacher, ["habari ya asubuhi"] * 9, vocab_size=31_000)  # doctest: +SKIP
        SentenceTransformer(...)
    """
    if vocabulary not in VOCABULARIES:
        raise InputError(f"vocabulary is {vocabulary!r}", f"use one of {', '.join(VOCABULARIES)}", field="vocabulary")
    check_keep_marks(keep_marks, vocabulary)
    module = deepcopy(transformer_of(teacher))
    keep_layers(module.model, num_layers)
    if vocabulary == "extend":
        module = _extended(module, check_texts(texts), (vocab_size, new_pieces), lexicon, seed, english, keep_marks)
    elif vocabulary == "copy":
        read_one_form(module)
    elif vocabulary == "replace":
        module = replaced(module, check_texts(texts), vocab_size or DEFAULT_SIZE, lexicon, seed, keep_marks)
    return assembled(teacher, [module])


def vocabulary_size(teacher: Encoder, vocab_size: int | None = None, new_pieces: int | None = None) -> int:
    """Return the largest vocabulary size of a student that extends its teacher's vocabulary.

    Args:
        teacher: The teacher.
        vocab_size: Size of the whole vocabulary, or ``None``.
        new_pieces: Number of pieces to add, or ``None``.

    Returns:
        The size. By default it is 40,000, and at least 5,000 more than the teacher's (XLM-R has 250,002).

    Raises:
        InputError: Both are given, or there is no room for a new piece.
    """
    spec = json.loads(tokenizer_of(transformer_of(teacher)).backend_tokenizer.to_str())
    return _size(size_of(spec), vocab_size, new_pieces)


def _size(size: int, vocab_size: int | None, new_pieces: int | None) -> int:
    if vocab_size is not None and new_pieces is not None:
        raise InputError(
            f"new_pieces is {new_pieces} and vocab_size is {vocab_size}, but both set the number of pieces",
            "leave one of them out",
            field="new_pieces",
        )
    if new_pieces is not None and new_pieces < 1:
        raise InputError(f"new_pieces is {new_pieces}", "give 1 or more, or vocabulary='copy'", field="new_pieces")
    if new_pieces is not None:
        return size + new_pieces
    if vocab_size is None:
        return max(DEFAULT_SIZE, size + _MORE)
    if vocab_size <= size:
        raise InputError(
            f"vocab_size is {vocab_size}, and the teacher's vocabulary already has {size} pieces",
            f"give a size above {size}, or the number of pieces to add as new_pieces, or vocabulary='copy' or "
            "'replace'",
            field="vocab_size",
        )
    return vocab_size


def _extended(
    module: Transformer,
    texts: Iterable[str],
    sizes: tuple[int | None, int | None],
    lexicon: Lexicon | None,
    seed: int,
    english: Iterable[str] | None,
    keep_marks: KeepMarks,
) -> Transformer:
    """Return ``module`` with more pieces; its model is changed in place."""
    old = tokenizer_of(module)
    backend = old.backend_tokenizer
    spec = json.loads(backend.to_str())
    kind_of(spec)
    size = size_of(spec)
    limit = _size(size, *sizes) - size
    settings: dict[str, Any] = {}
    normalizer = composed_first(student_normalizer(backend, texts, keep_marks))
    if normalizer != spec["normalizer"]:
        spec["normalizer"] = normalizer
        settings = {"strip_accents": False, **generic_class(old)}
    cutter = type(backend).from_str(json.dumps(spec))
    new = learn_pieces(texts if keep_marks is not True else [*texts, *unmarked_copies(texts)[1]], cutter, spec, limit)
    if english is not None and spec["model"]["type"] == "Unigram":
        new = spare_english(new, cutter, spec, english)
    tokenizer = rebuilt_tokenizer(old, extended(spec, new), **settings)
    _check_ids(tokenizer.get_vocab(), old.get_vocab(), new.pieces, size)

    forms = SurfaceForms(backend)
    translations = lexicon_ids(lexicon or {}, forms.ids, normalizer_of(cutter))
    words = [word_of(piece, spec) for piece in new.pieces]
    sources = source_ids(new.pieces, words, forms, translations)
    rows = initial_rows(embeddings_of(module.model).weight, sources, seed)
    _append_rows(module.model, size, rows)
    logger.info(
        "%d new pieces: %d rows from the lexicon, %d random rows because no part is in the teacher's vocabulary",
        len(new.pieces),
        sum(word in translations for word in words),
        sum(not groups for groups in sources),
    )
    return rebuilt_transformer(module, module.model, tokenizer)


def _check_ids(new: dict[str, int], old: dict[str, int], pieces: list[str], size: int) -> None:
    """Check that all pieces have their ids after the tokenizer was read back, because ids select embedding rows."""
    expected = {**old, **{piece: size + i for i, piece in enumerate(pieces)}}
    moved = [piece for piece, number in expected.items() if new.get(piece) != number]
    if moved:
        raise InputError(
            f"{len(moved)} pieces changed their id when the extended tokenizer was read back, {moved[0]!r} first",
            "use vocabulary='copy' or 'replace' for this teacher",
        )


def _append_rows(model: PreTrainedModel, size: int, rows: Tensor) -> None:
    """Write ``rows``, (pieces, width), at the ids from ``size`` on; spare rows of a larger table are kept."""
    needed = max(size + len(rows), embeddings_of(model).num_embeddings)
    model.resize_token_embeddings(needed, mean_resizing=False)
    table = embeddings_of(model).weight
    with torch.no_grad():
        table[size : size + len(rows)] = rows
