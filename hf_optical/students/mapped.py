"""Student that starts in the teacher's space, made from another encoder and a `Dense` fitted on pairs."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sentence_transformers.base.modules import Dense, Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Dropout, Pooling
from torch import Tensor, nn

from hf_optical.encoders.parts import Encoder, assembled
from hf_optical.encoders.teachers import is_late_interaction, query_prompt
from hf_optical.errors import InputError
from hf_optical.students.index_sample import MOST_ROWS, IndexRows, IndexSample, index_sample
from hf_optical.students.map_choice import MapReport, choose_map
from hf_optical.students.readings import Front, student_front, teacher_front
from hf_optical.students.space_map import LinearMap

_MOST_PAIRS = 5_000  # pairs on which a map is fitted; most of the time is spent on encoding them


def mapped_student(
    transformer: Transformer,
    teacher: Encoder,
    english: Sequence[str],
    translations: Sequence[str],
    *,
    complete: Any = None,
    index: IndexRows | None = None,
    seed: int = 0,
    most_pairs: int = _MOST_PAIRS,
    most_rows: int = MOST_ROWS,
) -> tuple[Encoder, MapReport]:
    """Attach a fitted map into the teacher's space to another encoder's transformer.

    The map is a `Dense` with a bias on the token vectors. It is fitted on the pooled vectors of both sides of the
    pairs, with the teacher's vector of the English sentence as the target of each, and the best of several fits is
    used (:func:`~hf_optical.students.map_choice.choose_map`).

    Args:
        transformer: Transformer of the encoder, which becomes the student's.
        teacher: The teacher, which is not changed.
        english: English sentences.
        translations: Their translations.
        complete: Sentence encoder to which the transformer belongs, if any; its pooling and prompts are kept.
        index: Documents of the teacher's index and their vectors, on which the map is fitted too. They cannot be used
            for a teacher with a head after its pooling, because their pooled vectors are not known.
        seed: Random seed of the sampled and the held-out pairs.
        most_pairs: Largest number of pairs to encode.
        most_rows: Largest number of the index's documents to draw at random and to encode.

    Returns:
        The student, and a report on the choice of its map.

    Raises:
        InputError: An index is given for a teacher with a head or for a late-interaction teacher, or its vectors have
            another width than the teacher's; nothing was encoded by then. Or the pairs are too few, as for
            `choose_map`.
    """
    theirs, finish = teacher_front(teacher)
    sample: IndexSample | None = None
    if index is not None:
        check_index_of(teacher)
        sample = index_sample(index, seed, most_rows)
        _check_width(sample, theirs.pooling.pooling_output_dimension)
    english, translations = drawn_pairs(english, translations, most_pairs, seed)
    front = front_of(transformer, complete, teacher)
    read_translations = front.read(translations, progress="student reads translations")
    read_english = front.read(english, tokens=True, progress="student reads English")
    target = theirs.read(english, tokens=True, progress="teacher reads English")
    rows: tuple[Tensor, Tensor] | None = None
    if sample is not None:
        documents = front.read(sample.texts, progress=f"student reads {sample.sentence()}")
        rows = documents.pooled, sample.vectors
    found, report = choose_map(
        *(read_translations, read_english, target, finish, english),
        index=rows,
        refine=not is_late_interaction(teacher),
        seed=seed,
    )
    report = replace(report, index_total=0 if sample is None else sample.total)
    # Tokens get the teacher's length, which matters for squared distances of tokens but not for cosines.
    length = float(target.pooled.norm(dim=1).mean())
    student = assembled(teacher, [transformer, as_dense(found, length)])
    _keep_pool(student, front.pooling)
    if complete is not None and any(complete.prompts.values()):
        student.prompts = dict(complete.prompts)
        student.default_prompt_name = complete.default_prompt_name
    return student, report


def check_index_of(teacher: Any) -> None:
    """Check that the vectors of a teacher's index lie in the space of its pooled vectors, in which maps are fitted.

    They do if nothing but a normalisation follows the pooling, and nothing stands between it and the transformer.
    Behind a head of another width a fit would stop, and behind one of the same width it would mix two spaces.

    Raises:
        InputError: They do not.
    """
    between = [
        type(module).__name__
        for module in list(teacher._modules.values())[1:]
        if not isinstance(module, Pooling | Normalize | Dropout)
    ]
    if is_late_interaction(teacher):
        reason = "a late-interaction teacher has a vector for each token, and the index one for each text"
    elif between:
        reason = f"the teacher has the head {', '.join(between)}, and the index has vectors from behind it"
    else:
        return
    raise InputError(
        f"{reason}; a map cannot be fitted on its rows",
        "leave out --index_rows, and the map is fitted on the pairs alone; or leave out --teacher, and the index is "
        "the teacher",
        field="index_rows",
    )


def front_of(transformer: Transformer, complete: Any, teacher: Any) -> Front:
    """Return the front of an encoder with its own prompt and pooling, or the teacher's if it has none."""
    prompted = complete if complete is not None and any(complete.prompts.values()) else teacher
    pools = [module for module in (complete if complete is not None else teacher) if isinstance(module, Pooling)]
    return student_front(transformer, pools[0] if pools else None, query_prompt(prompted), teacher.device)


def drawn_pairs(
    english: Sequence[str], translations: Sequence[str], most: int, seed: int
) -> tuple[list[str], list[str]]:
    """Draw at most ``most`` pairs with probabilities in proportion to the length of their English, in their order.

    Some bitexts have many short phrases, which carry little information about the sentences and passages of a search.
    """
    rows: Any = range(len(english))
    if len(english) > most:
        lengths = np.array([len(text) for text in english], dtype=np.float64)
        drawn = np.random.default_rng(seed).choice(len(english), most, replace=False, p=lengths / lengths.sum())
        rows = np.sort(drawn).tolist()
    return [english[row] for row in rows], [translations[row] for row in rows]


def _check_width(sample: IndexSample, width: int | None) -> None:
    """Check that the vectors of an index are as wide as the teacher's pooled vectors."""
    if sample.vectors.shape[1] != width:
        raise InputError(
            f"the vectors of the index have {sample.vectors.shape[1]} numbers, and those of the teacher {width}",
            "name the teacher that made the index, or leave out --index_rows",
            field="index_rows",
        )


def as_dense(found: LinearMap, length: float = 1.0) -> Dense:
    """Convert a map to a module on token vectors, with outputs multiplied by ``length``."""
    out, width = found.weight.shape
    dense = Dense(width, out, bias=True, activation_function=nn.Identity(), module_input_name="token_embeddings")
    with torch.no_grad():
        dense.linear.weight.copy_(found.weight * length)
        dense.linear.bias.copy_(found.bias * length)
    return dense


def _keep_pool(student: Any, pooling: Pooling) -> None:
    """Set the pooling mode of the encoder in the student's pooling."""
    for name, module in list(student._modules.items()):
        if isinstance(module, Pooling):
            kept = deepcopy(module)
            kept.pooling_mode, kept.include_prompt = pooling.pooling_mode, pooling.include_prompt
            kept.pooling_output_dimension = kept.embedding_dimension
            student._modules[name] = kept
            return
