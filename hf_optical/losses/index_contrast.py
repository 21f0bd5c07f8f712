"""Contrast of questions with the passages of an index that stays as it is: the teacher reads the passages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from sentence_transformers.base.model import BaseModel
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from torch import Tensor, nn

from hf_optical.encoders.feature_keys import TEACHER_TOKENIZED
from hf_optical.encoders.teachers import Teacher, TeacherStandIn, freeze, is_late_interaction
from hf_optical.errors import InputError, NonFiniteError
from hf_optical.losses.temperature import FALLBACK

MOST_PASSAGES = 200_000
"""Passages whose vectors are kept; at 384 numbers each these are 300 MB."""


class IndexContrastLoss(nn.Module):
    """InfoNCE of questions, read by the student, against passages, read by the frozen teacher.

    In-batch negatives and named ones, as in ``MultipleNegativesRankingLoss``, with one difference: the vectors of the
    passages are those that lie in the existing index, and no gradient flows into them. A student that is trained on
    questions in this way searches that index; one whose passages are trained too needs an index of its own. A passage
    is encoded once and its vector kept for the batches in which it returns.

    Args:
        model: The student; dense.
        teacher: The model that made the index.
        temperature: Cosines are divided by it.
        gather_across_devices: Contrast with the passages of all processes.

    Inputs:
        +--------------------------------+--------+
        | Inputs                         | Labels |
        +================================+========+
        | (query, passage[, negatives])  | none   |
        +--------------------------------+--------+

    Requirements:
        ``OTDistillationDataCollator.for_models(student, teacher, document_encoder="teacher")``, which tokenises the
        passages for the teacher, under its prompt for documents.

    Raises:
        InputError: The teacher is not at hand (a cache or an index stands in for it), so that nothing reads passages;
            or, at a batch, the passages are tokenised for the student.
        NonFiniteError: A passage's vector is not finite.
    """

    def __init__(
        self,
        model: BaseModel,
        teacher: Teacher,
        *,
        temperature: float = FALLBACK,
        gather_across_devices: bool = False,
    ) -> None:
        super().__init__()
        if is_late_interaction(model):
            raise InputError(
                "a late-interaction student is trained with passages that it reads itself",
                "use document_encoder: student, or a dense student",
                field="document_encoder",
            )
        online = teacher.online if isinstance(teacher, TeacherStandIn) else teacher
        if online is None:
            raise InputError(
                "the teacher has to encode the passages, but it is not available",
                "give the teacher itself, or let the student read both sides (document_encoder: student)",
                field="document_encoder",
            )
        self.model = model
        self._teacher = [freeze(online)]  # in a list: the teacher's weights are none of this loss's
        self._info_nce = MultipleNegativesRankingLoss(
            model,  # type: ignore[arg-type]
            scale=1 / temperature,
            gather_across_devices=gather_across_devices,
        )
        self._vectors: dict[bytes, Tensor] = {}

    @property
    def teacher(self) -> BaseModel:
        """The model that reads the passages."""
        return self._teacher[0]

    def forward(self, sentence_features: Iterable[dict[str, Any]], labels: Tensor | None = None) -> Tensor:
        """The loss of a batch, a scalar.

        Args:
            sentence_features: Features of the questions, for the student, then of the passages and of any negatives,
                for the teacher.
            labels: Unused.
        """
        queries, *documents = sentence_features
        mine = self.model(queries)["sentence_embedding"].float()
        theirs = [self._read(features).to(mine.device) for features in documents]
        with torch.autocast(mine.device.type, enabled=False):
            return self._info_nce.compute_loss_from_embeddings([mine, *theirs], labels)  # type: ignore[arg-type]

    @torch.no_grad()
    def _read(self, features: dict[str, Any]) -> Tensor:
        """The teacher's vectors of passages, (B, d), from those kept where they are known."""
        if not features.get(TEACHER_TOKENIZED):
            raise InputError(
                "the passages are tokenised for the student, and the teacher is to read them",
                'use data_collator=OTDistillationDataCollator.for_models(student, teacher, document_encoder="teacher")',
                field="document_encoder",
            )
        keys = _keys(features["input_ids"], features["attention_mask"])
        unknown = [row for row, key in enumerate(keys) if key not in self._vectors]
        if unknown:
            if len(self._vectors) > MOST_PASSAGES:
                self._vectors.clear()
                unknown = list(range(len(keys)))
            rows = {
                name: value[unknown] if isinstance(value, Tensor) and value.shape[:1] == (len(keys),) else value
                for name, value in features.items()
                if name != TEACHER_TOKENIZED
            }
            teacher = self.teacher.to(features["input_ids"].device).eval()
            with torch.autocast(features["input_ids"].device.type, enabled=False):  # as the index was made
                found = teacher(rows)["sentence_embedding"].float()
            if not bool(torch.isfinite(found).all()):
                raise NonFiniteError("the teacher's vector of a passage is not finite")
            self._vectors |= {keys[row]: vector for row, vector in zip(unknown, found, strict=True)}
        return torch.stack([self._vectors[key] for key in keys])

    def get_config_dict(self) -> dict[str, Any]:
        """Return the configuration for the model card."""
        return {**self._info_nce.get_config_dict(), "passages": "read by the frozen teacher"}


def _keys(input_ids: Tensor, mask: Tensor) -> list[bytes]:
    """One key per row: its token ids without padding."""
    rows = zip(input_ids.cpu(), mask.bool().cpu(), strict=True)
    return [ids[real].numpy().tobytes() for ids, real in rows]
