"""Student from which training starts, with two stages for grown ones: as grown, and with rows aligned in bitext."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import torch
from datasets import Dataset

from hf_optical.encoders.parts import Encoder, tokenizer_of, transformer_of
from hf_optical.errors import InputError
from hf_optical.students.adapt import StartReport
from hf_optical.students.bitext_init import TRANSPORT, initialise_from_bitext
from hf_optical.students.build import build_student
from hf_optical.students.grow import DEFAULT_SIZE, VOCABULARIES, vocabulary_size
from hf_optical.students.index_sample import IndexRows
from hf_optical.students.marks import KeepMarks, unmarked_copies
from hf_optical.students.support import supported

ROW_INITS = ("transport", "bitext", "surface")
ALIGNED = ("transport", "bitext")
"""Values of ``row_init`` that use the bitext; the student is then measured before and after the initialisation."""
LEAST_SUPPORT = 5.0
"""Expected alignments in the bitext below which a multilingual teacher's vocabulary gets no new piece for a word."""


def starting_student(
    kind_or_id: str,
    teacher: Encoder,
    rows: Dataset,
    *,
    row_init: str = "transport",
    vocab_size: int | None = None,
    new_pieces: int | None = None,
    num_layers: int | None = None,
    seed: int = 0,
    reads_english: bool = False,
    on_grown: Callable[[Encoder], None] | None = None,
    index: IndexRows | None = None,
    on_report: Callable[[StartReport], None] | None = None,
    keep_marks: KeepMarks = "auto",
) -> Encoder:
    """Grow a student and initialize its embedding rows, or adapt another encoder to the teacher's space.

    Args:
        kind_or_id: ``"copy"``, ``"extend"``, ``"replace"``, or an encoder's id or folder.
        teacher: The teacher, which is not changed.
        rows: Bitext with the columns ``source`` and ``translation``.
        row_init: Initialisation of the rows of a student with new pieces: ``"transport"`` aligns pieces in the bitext
            by entropic transport within each pair (`initialise_from_bitext`), ``"bitext"`` by two lexical models alone,
            which ignore the order of words, and ``"surface"`` uses the teacher's rows of each piece's surface form. A
            copy keeps the teacher's rows.
        vocab_size: Vocabulary size of a grown student. By default 40,000 pieces, or with ``"extend"`` 5,000 more than
            the teacher's if this is more.
        new_pieces: Number of pieces to add with ``"extend"``, in place of ``vocab_size``. To a multilingual teacher's,
            only those are added that have 5 expected alignments in the bitext, if rows are aligned in it.
        num_layers: Number of layers of a grown student; ``None`` for all layers of the teacher.
        seed: Random seed of the sampled pairs and new rows.
        reads_english: Whether the student is to read English too. Rows of the teacher's pieces are then not changed, as
            also for a multilingual teacher.
        on_grown: Function that is called with the student before its rows are aligned, for instance to measure it.
        index: Documents of the teacher's index with their vectors, on which another encoder is mapped too.
        on_report: Function that is called with the report on the map of another encoder.
        keep_marks: Whether a student with new pieces keeps accents and tone marks; see `grow_student`. With true, rows
            are aligned in the translations and in their copies without marks.

    Returns:
        A new model of the teacher's class.

    Raises:
        InputError: As for `build_student` and `initialise_from_bitext`, or ``row_init`` is unknown.
    """
    if row_init not in ROW_INITS:
        raise InputError(f"is {row_init!r}", f"use one of {', '.join(ROW_INITS)}", field="row_init")
    torch.manual_seed(seed)
    grown = kind_or_id in VOCABULARIES
    alignment = TRANSPORT if row_init == "transport" else None
    options: dict[str, Any] = {}
    if kind_or_id == "replace":
        options = {"vocab_size": vocab_size or DEFAULT_SIZE}
    elif kind_or_id == "extend":
        size = vocabulary_size(teacher, vocab_size, new_pieces)
        options = {"vocab_size": size, "pairs": (rows["source"], rows["translation"])}
    elif not grown:
        options = {"pairs": (rows["source"][:], rows["translation"][:]), "index": index, "on_report": on_report}
    options |= {"num_layers": num_layers, "seed": seed, "keep_marks": keep_marks}
    student = build_student(kind_or_id, teacher, rows["translation"], **options)
    aligned = grown and kind_or_id != "copy" and row_init in ALIGNED
    multilingual = aligned and _reads_many_languages(teacher)
    sources: Sequence[str] = rows["source"]
    translations: Sequence[str] = rows["translation"]
    if aligned and keep_marks is True:
        copies: tuple[list[int], list[str]] = unmarked_copies(translations)
        sources = [*sources, *rows.select(copies[0])["source"]]
        translations = [*translations, *copies[1]]
    if multilingual and kind_or_id == "extend":
        # Such a teacher reads the words already, so that a new piece is worth its row only with evidence for it.
        student = supported(
            student, teacher, sources, translations, least=LEAST_SUPPORT, alignment=alignment, seed=seed
        )
    if on_grown is not None:
        on_grown(student)
    if aligned:
        initialise_from_bitext(
            student,
            teacher,
            sources,
            translations,
            alignment=alignment,
            rows="new" if reads_english or multilingual else "all",
            seed=seed,
        )
    return student


def _reads_many_languages(teacher: Encoder) -> bool:
    """Return whether a teacher is multilingual, which is assumed of a Unigram vocabulary (XLM-R, e5)."""
    spec = json.loads(tokenizer_of(transformer_of(teacher)).backend_tokenizer.to_str())
    return bool(spec["model"]["type"] == "Unigram")
