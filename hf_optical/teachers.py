"""The frozen teacher, and whether a student lives in its space."""

from __future__ import annotations

from typing import TypeVar

import torch
from sentence_transformers import MultiVectorEncoder
from sentence_transformers.base.model import BaseModel

from hf_optical.errors import InputError, NonFiniteError

Model = TypeVar("Model", bound=BaseModel)

_PROBE = ["The goat sleeps under the tree."]


def freeze(teacher: Model) -> Model:
    """Put the teacher in evaluation mode and out of every optimizer's reach.

    A teacher inside a loss would otherwise be trained with it: trainers collect the parameters of the loss too.
    """
    return teacher.eval().requires_grad_(False)


@torch.no_grad()
def check_same_space(student: BaseModel, teacher: BaseModel) -> None:
    """Stop unless the student's vectors can be compared with the teacher's.

    Raises:
        InputError: Other widths, or one model is late interaction and the other dense.
        NonFiniteError: The teacher answers with NaN or infinity (broken or half-loaded weights).
    """
    if _late(student) != _late(teacher):
        raise InputError(
            f"the student is a {type(student).__name__} and the teacher a {type(teacher).__name__}"
            + (" of the other kind" if type(teacher).__name__ == "CachedTeacher" else ""),
            "make both dense (SentenceTransformer) or both late interaction (MultiVectorEncoder)",
        )
    widths = {}
    for who, model in (("student", student), ("teacher", teacher)):
        known = getattr(model, "vector_widths", None)
        if known is not None:  # a cache, whose vectors were checked when they were written
            widths[who] = known
            continue
        training = model.training
        output = model.eval()(_on_device(model, model.preprocess(_PROBE)))
        model.train(training)
        widths[who] = {
            key: output[key].shape[-1] for key in ("token_embeddings", "sentence_embedding") if key in output
        }
        if "token_embeddings" not in widths[who]:
            raise InputError(
                f"the {who} has no token vectors (static or bag-of-words model)",
                "use a transformer encoder: transport needs a vector for every token",
            )
        if who == "teacher" and not all(torch.isfinite(output[key]).all() for key in widths[who]):
            raise NonFiniteError("the teacher's vectors are not finite: its weights are broken; load it again")
    if widths["student"] != widths["teacher"]:
        raise InputError(
            f"the student's vectors have other widths than the teacher's: {widths['student']} against "
            f"{widths['teacher']}",
            "make the student with hf_optical.students.adapt_student(id, teacher), which adds a Dense module",
        )


def query_prompt(model: BaseModel) -> str | None:
    """The prompt under which a model reads queries, if it has one.

    Both sides of a bitext pair are read as queries, because that is what the student will read in use.
    """
    prompts = getattr(model, "prompts", None) or {}
    if "query" in prompts:  # an empty one too: `encode_query` then does not fall back to the default prompt
        return prompts["query"] or None
    return prompts.get(model.default_prompt_name) if model.default_prompt_name else None


def _late(model: BaseModel) -> bool:
    return isinstance(model, MultiVectorEncoder) or getattr(model, "late_interaction", False) is True


def _on_device(model: BaseModel, features: dict) -> dict:
    return {
        key: value.to(model.device) if isinstance(value, torch.Tensor) else value for key, value in features.items()
    }
