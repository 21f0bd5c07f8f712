"""Trainers that distil a retriever into another language: those of sentence-transformers plus a teacher."""

from __future__ import annotations

from typing import Any

from sentence_transformers import MultiVectorEncoderTrainer, SentenceTransformerTrainer
from torch import nn

from hf_optical.losses.temperature import FALLBACK
from hf_optical.training.arguments import OTDistillationTrainingArguments
from hf_optical.training.distillation import Distillation


class OTDistillationTrainer(Distillation, SentenceTransformerTrainer):
    """Distil an English ``SentenceTransformer`` into a student that reads another language.

    All features of ``SentenceTransformerTrainer`` work as usual: evaluators, callbacks, logging, resuming,
    ``push_to_hub``. This class adds a teacher, data sets by kind, an error before any non-finite step, and checkpoints
    that hold the loss's own parameters.

    Args:
        model: The student.
        args: :class:`~hf_optical.training.arguments.OTDistillationTrainingArguments`.
        train_dataset: A data set with the columns ``source`` and ``translation``, or a dict of data sets whose keys
            name their kind: ``bitext/eng_Latn-swh_Latn`` (``source``, ``translation``), ``mono/swh_Latn`` and
            ``cross/eng_Latn-swh_Latn`` (``query``, ``passage``, optional ``negative``), ``lexicon/eng_Latn-swh_Latn``
            (``source``, ``translation``). The kind before the slash chooses the loss:
            :class:`~hf_optical.losses.OTDistillationLoss` for bitext, :class:`~hf_optical.losses.LexicalInjectionLoss`
            for lexicons, InfoNCE for the others.
        eval_dataset: Data sets in the same form.
        loss: Your own loss in place of these.
        teacher: The English retriever, frozen here; or a :class:`~hf_optical.teacher_cache.CachedTeacher`.
        teacher_cache: Folder in which the teacher's vectors of the English are computed once and from which they are
            read in every step. A folder that is already filled needs no ``teacher``.
        teacher_cache_dtype: ``"float16"``, or ``"int8"`` for half the size.
        data_collator: Your own collator; by default the one that tokenises for both models.
        options: Options of ``SentenceTransformerTrainer``: ``evaluator``, ``callbacks``, ``optimizers``...

    Raises:
        InputError: Columns are missing, texts are empty (with row numbers), a kind has no loss, bitext has no teacher,
            ``max_length`` exceeds the positions of a model, or a tokenizer has tokens without vectors.
        NonFiniteError: A vector, loss or gradient is not finite; raised before the step is taken.

    Example:
        ::

            trainer = OTDistillationTrainer(
                model=student, teacher=teacher, args=args, train_dataset={"bitext/eng_Latn-swh_Latn": rows}
            )
            trainer.train()
    """

    def contrastive_loss(self, model: Any, args: OTDistillationTrainingArguments) -> nn.Module:
        """Make sentence-transformers' InfoNCE at ``args.temperature`` or .05, with gradient caching on request."""
        from sentence_transformers.sentence_transformer import losses

        options: dict[str, Any] = {
            "scale": 1 / (args.temperature or FALLBACK),
            "gather_across_devices": args.gather_across_devices,
        }
        if args.contrastive_mini_batch:
            return losses.CachedMultipleNegativesRankingLoss(
                model, mini_batch_size=args.contrastive_mini_batch, **options
            )
        return losses.MultipleNegativesRankingLoss(model, **options)


class MultiVectorOTDistillationTrainer(Distillation, MultiVectorEncoderTrainer):
    """Variant of :class:`OTDistillationTrainer` for late-interaction students (``MultiVectorEncoder``)."""

    def contrastive_loss(self, model: Any, args: OTDistillationTrainingArguments) -> nn.Module:
        """Make sentence-transformers' InfoNCE over MaxSim scores, which sum over tokens and need no temperature."""
        from sentence_transformers.multi_vector_encoder import losses

        if args.contrastive_mini_batch:
            return losses.CachedMultiVectorMultipleNegativesRankingLoss(
                model, mini_batch_size=args.contrastive_mini_batch, gather_across_devices=args.gather_across_devices
            )
        return losses.MultiVectorMultipleNegativesRankingLoss(model, gather_across_devices=args.gather_across_devices)
