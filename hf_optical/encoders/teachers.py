"""The frozen teacher, and checks that a student's vectors are comparable with it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from sentence_transformers import MultiVectorEncoder
from sentence_transformers.base.model import BaseModel
from torch import nn

from hf_optical.errors import InputError, NonFiniteError

if TYPE_CHECKING:
    from hf_optical.encoders.token_view import TokenView

Model = TypeVar("Model", bound=nn.Module)

_PROBE = ["The goat sleeps under the tree."]


class TeacherStandIn(nn.Module, ABC):
    """Interface of a module that provides a teacher's vectors without running the teacher.

    Attributes:
        online: The teacher itself, for unknown texts; ``None`` if it is not available.
        reader: Finds the rows of texts and makes their features; separate, so that collating processes need no teacher.
            See :class:`~hf_optical.teacher_cache.reading.CacheReader`.
        gives_tokens: Whether it has token vectors; an index has one vector per text.
    """

    online: BaseModel | None
    reader: Any
    default_prompt_name: str | None
    gives_tokens = True

    @property
    @abstractmethod
    def tokenizer(self) -> Any:
        """The teacher's tokenizer."""

    @property
    @abstractmethod
    def prompts(self) -> dict[str, str]:
        """The teacher's prompts, by name."""

    @property
    @abstractmethod
    def late_interaction(self) -> bool:
        """Whether the teacher scores token by token."""

    @property
    @abstractmethod
    def vector_widths(self) -> dict[str, int]:
        """Return the widths of the teacher's outputs by name; its vectors are finite."""

    @abstractmethod
    def token_view(self, rows: torch.Tensor) -> TokenView:
        """Return the teacher's view of texts by the rows that ``reader`` found, (B,)."""

    def bank(self, size: int, seed: int) -> torch.Tensor | None:
        """Return at most ``size`` unit vectors for the ranking term; ``None`` to use those of the bitext's English."""
        return None


Teacher = BaseModel | TeacherStandIn


def is_late_interaction(model: nn.Module) -> bool:
    """Return whether the model scores token by token (``MultiVectorEncoder``)."""
    return model.late_interaction if isinstance(model, TeacherStandIn) else isinstance(model, MultiVectorEncoder)


def freeze(teacher: Model) -> Model:
    """Put the teacher into evaluation mode and switch its gradients off.

    Otherwise a teacher inside a loss would be trained, because trainers collect the parameters of the loss too.
    """
    return teacher.eval().requires_grad_(False)


@torch.no_grad()
def check_same_space(student: BaseModel, teacher: Teacher) -> None:
    """Raise an error unless the student's vectors can be compared with the teacher's.

    Raises:
        InputError: The widths differ, or one model is late interaction and the other dense.
        NonFiniteError: The teacher returns NaN or infinity because of broken or missing weights.
    """
    if is_late_interaction(student) != is_late_interaction(teacher):
        raise InputError(
            f"the student is a {type(student).__name__} and the teacher a {type(teacher).__name__}"
            + (" of the other kind" if isinstance(teacher, TeacherStandIn) else ""),
            "make both dense (SentenceTransformer) or both late interaction (MultiVectorEncoder)",
        )
    widths = {}
    model: Teacher
    for who, model in (("student", student), ("teacher", teacher)):
        if isinstance(model, TeacherStandIn):
            widths[who] = model.vector_widths
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
    if isinstance(teacher, TeacherStandIn) and not teacher.gives_tokens:
        widths["student"].pop("token_embeddings")
    if widths["student"] != widths["teacher"]:
        raise InputError(
            f"the student's vectors have different widths than the teacher's: {widths['student']} against "
            f"{widths['teacher']}",
            "make the student with hf_optical.students.adapt_student(id, teacher), which adds a Dense module",
        )


def query_prompt(model: Teacher) -> str | None:
    """Return the prompt with which a model encodes queries, if it has one.

    Both sides of a bitext pair are encoded as queries, because the student encodes queries in use.
    """
    prompts = getattr(model, "prompts", None) or {}
    if "query" in prompts:  # also if it is empty: `encode_query` then does not use the default prompt
        return prompts["query"] or None
    return prompts.get(model.default_prompt_name) if model.default_prompt_name else None


def document_prompt(model: Teacher) -> str | None:
    """The prompt under which ``encode_document`` of a model reads passages, if it has one."""
    prompts = getattr(model, "prompts", None) or {}
    for name in ("document", "passage", "corpus"):
        if name in prompts:
            return prompts[name] or None
    return prompts.get(model.default_prompt_name) if model.default_prompt_name else None


def _on_device(model: BaseModel, features: dict) -> dict:
    return {
        key: value.to(model.device) if isinstance(value, torch.Tensor) else value for key, value in features.items()
    }
