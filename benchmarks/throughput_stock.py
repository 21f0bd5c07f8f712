"""Sentence-transformers' stock multilingual recipe (its example ``make_multilingual.py``), as it is and at its mildest.

The student learns by mean squared error to put a sentence where the teacher puts its English, in random padded batches.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.sentence_transformer.losses import MSELoss
from torch import Tensor, nn
from torch.nn import functional

from hf_optical.batching.collation import OTDistillationDataCollator
from hf_optical.encoders.feature_keys import TEACHER_TOKENIZED


class OnlineTeacherMSE(nn.Module):
    """The mildest form of the recipe: the teacher reads the English in every step, the student the translation only."""

    def __init__(self, model: nn.Module, teacher: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.teacher = teacher.eval().requires_grad_(False)

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor | None = None) -> Tensor:
        """Mean squared error of the sentence vectors."""
        english, translation = sentence_features
        with torch.no_grad():
            target = self.teacher({key: value for key, value in english.items() if key != TEACHER_TOKENIZED})
        return functional.mse_loss(self.model(translation)["sentence_embedding"], target["sentence_embedding"])


def stock_arguments(**options: Any) -> SentenceTransformerTrainingArguments:
    """The host's arguments with its defaults: random batches, and the optimizer that the host chooses."""
    return SentenceTransformerTrainingArguments(use_cpu=True, report_to="none", save_strategy="no", **options)


def online_trainer(student: Any, teacher: Any, rows: Dataset, **options: Any) -> SentenceTransformerTrainer:
    """The mildest form."""
    return SentenceTransformerTrainer(
        model=student,
        args=stock_arguments(**options),
        train_dataset=rows.select_columns(["source", "translation"]),
        loss=OnlineTeacherMSE(student, teacher),
        data_collator=OTDistillationDataCollator.for_models(student, teacher),
    )


def labelled(teacher: Any, rows: Dataset, batch_size: int) -> Dataset:
    """The pairs with the teacher's vectors as labels, encoded once before the training as the example does."""
    vectors = teacher.encode(list(rows["source"]), batch_size=batch_size, show_progress_bar=False)
    columns = {"english": list(rows["source"]), "non_english": list(rows["translation"]), "label": vectors.tolist()}
    return Dataset.from_dict(columns)


def literal_trainer(student: Any, rows: Dataset, **options: Any) -> SentenceTransformerTrainer:
    """The example as it stands: the student reads the English and the translation."""
    return SentenceTransformerTrainer(
        model=student, args=stock_arguments(**options), train_dataset=rows, loss=MSELoss(student)
    )
