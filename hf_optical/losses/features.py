"""Checks that a batch holds pairs and that each side is tokenised for the model that reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sentence_transformers.base.model import BaseModel

from hf_optical.batching.collation import same_tokenization
from hf_optical.encoders.feature_keys import CACHED_ROWS, MIRROR, TEACHER_TOKENIZED
from hf_optical.encoders.teachers import Teacher, query_prompt
from hf_optical.errors import InputError
from hf_optical.losses.terms import reads_english


def needs_own_tokens(student: BaseModel, teacher: Teacher) -> bool:
    """Return whether the teacher needs its own tokenisation and cannot read what was tokenised for the student.

    The same holds for a prompt of the teacher's own, which the collators of sentence-transformers do not add in
    training.
    """
    return not same_tokenization(student, teacher) or query_prompt(teacher) is not None


def check_teacher_tokens(english: Mapping[str, Any]) -> None:
    """Stop unless the English was tokenised for the teacher.

    Raises:
        InputError: The English was tokenised for the student.
    """
    if not english.get(TEACHER_TOKENIZED):
        raise InputError(
            "the teacher has another tokenizer than the student, or reads queries under a prompt, and the English was "
            "tokenised for the student",
            "pass data_collator=OTDistillationDataCollator.for_models(student, teacher) to the trainer",
        )


def check_pairs(features: Sequence[Mapping[str, Any]], weights: Mapping[str, float], *, teachers_own: bool) -> None:
    """Stop unless a batch holds what the terms of an objective read.

    Args:
        features: Features of the English, of its translation, and optionally of the English for the student.
        weights: Weights of the terms, by name.
        teachers_own: Whether the teacher needs its own tokenisation (`needs_own_tokens`).

    Raises:
        InputError: Too few or too many columns of text, or a side that was tokenised for another model.
    """
    if len(features) < 2:
        raise InputError(
            f"OTDistillationLoss got {len(features)} text column(s)",
            "give pairs: the English in a first column 'source', its translation in a second, 'translation'",
        )
    if len(features) > 2 and not features[2].get(MIRROR):
        raise InputError(
            f"OTDistillationLoss got {len(features)} text columns",
            "keep two, the English and its translation: rows.select_columns(['source', 'translation'])",
        )
    if not teachers_own and CACHED_ROWS not in features[0]:
        return
    check_teacher_tokens(features[0])
    if reads_english(weights) and len(features) < 3:
        name = "source" if "source" in weights else "self_nce"
        raise InputError(
            f"the term {name!r} needs the English as the student tokenises it",
            "use OTDistillationDataCollator.for_models(student, teacher, mirror=True)",
        )
