"""Training arguments: those of sentence-transformers plus the ones that the distillation adds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import get_args

from sentence_transformers.multi_vector_encoder.training_args import MultiVectorEncoderTrainingArguments
from sentence_transformers.sentence_transformer.training_args import SentenceTransformerTrainingArguments

from hf_optical.encoders.token_view import SpecialTokens
from hf_optical.errors import InputError, check_choice, check_positive
from hf_optical.losses.anchor import check_share
from hf_optical.losses.lexical_injection import LEXICAL_OBJECTIVES
from hf_optical.losses.terms import parse_objective
from hf_optical.training.default_values import BANK_SIZE
from hf_optical.training.trainable_embeddings import TRAINED_ROWS
from hf_optical.transport import SOLVERS

MARGINALS = ("uniform", "idf")


@dataclass
class OTDistillationTrainingArguments(SentenceTransformerTrainingArguments, MultiVectorEncoderTrainingArguments):
    """Arguments of :class:`~hf_optical.training.trainer.OTDistillationTrainer`, for dense and multi-vector students.

    Args:
        objective: Terms of the loss on bitext, e.g. ``"ot"``, ``"ot+nce"``, ``"ot+0.5*nce+cos"``; the default is
            ``"ot+rank"``, and ``"ot+nce"`` for late interaction.
        solver: Solver of the transport plan: ``"ipot"``, ``"sinkhorn"`` or ``"exact"``.
        special_tokens: How the transport treats special tokens: ``"match"``, ``"exclude"`` or ``"transport"``.
        marginals: Mass of each token: ``"uniform"``, or ``"idf"``, its inverse document frequency in the bitext.
        temperature: Number by which scores are divided. If not given, the terms on bitext choose it from the teacher's
            own scores (:func:`~hf_optical.training.teacher_temperature.teacher_temperature`), and it is .05 for
            questions, passages and lexicons, which have no teacher.
        bank_size: English sentences of the bitext that the term ``rank`` ranks, at most.
        anchor: Share of the untrained student in the target of the term ``rank``, which keeps what it read well before
            (:func:`~hf_optical.losses.anchor.anchored_target`). If not given it is .5 for a copy of a teacher that
            reads the language, and 0 for other students and where questions are trained on too
            (:func:`~hf_optical.training.anchor_choice.chosen_anchor`).
        gather_across_devices: Contrast across all processes, so that two processes give the same loss as one.
        contrastive_mini_batch: Texts per forward pass of the contrastive loss on questions and passages (gradient
            caching: the same gradients in less memory and more time); ``None`` for one pass.
        document_encoder: Who reads the passages of questions that are trained on: ``"student"``, which then needs an
            index of its own, or ``"teacher"``, whose index stays
            (:class:`~hf_optical.losses.IndexContrastLoss`).
        train_embeddings: Rows of the student's embedding table to train: ``"all"``, ``"used"`` (those that the training
            data use; the same weights in less memory and time; see
            :func:`~hf_optical.training.trainable_embeddings.trained_rows`), or ``"none"``.
        freeze_layers: Layers of the student that stay as they are, from the lowest, with the table of embeddings
            below them: shorter steps in less memory (:func:`~hf_optical.training.frozen_layers.frozen_layers`).
        delayed_checks: A step that is not finite is skipped on the device and reported when the next one begins, with
            the weights as they were before it, in place of waiting for the device in every step
            (:class:`~hf_optical.training.delayed_checks.DelayedChecks`). Needs a fused optimizer
            (``adamw_torch_fused``, the default), and no float16. Off by default: it has not run on a GPU.
        lexical_objective: The loss on lexicons: ``"triplet"`` (hardest in-batch negative) or ``"nce"`` (InfoNCE).
        lexical_layer: Hidden state at which words are pulled together: 0 is the embedding layer, k the k-th transformer
            layer; ``None`` for the output only. The layer probe recommends a layer.
        lexical_output_weight: Weight of the same loss on the student's output; 0 for the layer only.
        lexical_margin: Margin of the triplet loss, in units of cosine.

    All other arguments are those of sentence-transformers and transformers, including ``max_length`` (tokens per text
    in training).

    Example:
        >>> args = OTDistillationTrainingArguments(output_dir="out", objective="ot+nce", use_cpu=True)
        >>> args.objective, args.solver
        ('ot+nce', 'ipot')
    """

    objective: str | None = field(
        default=None,
        metadata={
            "help": "Terms of the loss on bitext: ot, mse, cos, nce, rank, greedy, nearest, self_nce, source; "
            "the default is ot+rank, and ot+nce for late interaction."
        },
    )
    solver: str = field(default="ipot", metadata={"help": f"Solver of the transport plan: {', '.join(SOLVERS)}."})
    special_tokens: str = field(
        default="match", metadata={"help": "How the transport treats special tokens: match, exclude or transport."}
    )
    marginals: str = field(default="uniform", metadata={"help": "Mass of each token in the transport: uniform or idf."})
    temperature: float | None = field(
        default=None,
        metadata={"help": "Number by which scores are divided; chosen from the teacher's own scores if not given."},
    )
    bank_size: int = field(
        default=BANK_SIZE, metadata={"help": "Number of English sentences that the ranking term ranks, at most."}
    )
    anchor: float | None = field(
        default=None,
        metadata={
            "help": "Share of the untrained student in the target of the ranking term; chosen by how well it reads the "
            "language if not given."
        },
    )
    gather_across_devices: bool = field(default=True, metadata={"help": "Contrast with the texts of all processes."})
    contrastive_mini_batch: int | None = field(
        default=None, metadata={"help": "Texts per forward pass of the contrastive loss; one pass if not given."}
    )
    document_encoder: str = field(default="student", metadata={"help": "Reads the passages: student or teacher."})
    train_embeddings: str = field(default="all", metadata={"help": "Embedding rows to train: all, used or none."})
    freeze_layers: int = field(default=0, metadata={"help": "Lower layers that stay as they are, with embeddings."})
    delayed_checks: bool = field(
        default=False, metadata={"help": "Report a step that is not finite at the next one; no step waits for it."}
    )
    lexical_objective: str = field(default="triplet", metadata={"help": "Loss on lexicons: triplet or nce."})
    lexical_layer: int | None = field(
        default=2, metadata={"help": "Layer of lexical injection; none for the output only."}
    )
    lexical_output_weight: float = field(default=1.0, metadata={"help": "Weight of lexical injection at the output."})
    lexical_margin: float = field(default=0.4, metadata={"help": "Margin of the triplet loss on words."})
    # The Trainer's filter hides what is not finite from the log, and waits for the device in every step; here such a
    # step stops the training.
    logging_nan_inf_filter: bool = field(default=False, metadata={"help": "Of the Trainer; a NaN stops it here."})

    def __post_init__(self) -> None:
        """Check the arguments of the distillation, then those of sentence-transformers."""
        if self.objective is not None:
            parse_objective(self.objective)
        check_choice("solver", self.solver, SOLVERS)
        check_choice("special_tokens", self.special_tokens, get_args(SpecialTokens))
        check_choice("marginals", self.marginals, MARGINALS)
        check_choice("document_encoder", self.document_encoder, ("student", "teacher"))
        check_choice("train_embeddings", self.train_embeddings, TRAINED_ROWS)
        check_choice("lexical_objective", self.lexical_objective, LEXICAL_OBJECTIVES)
        if self.freeze_layers < 0:
            raise InputError(f"is {self.freeze_layers}", "give a number of layers, 0 or more", field="freeze_layers")
        if self.temperature is not None:
            check_positive("temperature", self.temperature)
        if self.anchor is not None:
            check_share(self.anchor)
        check_positive("lexical_margin", self.lexical_margin)
        if self.bank_size < 2:
            raise InputError(f"is {self.bank_size}", "give a number of sentences, 2 or more", field="bank_size")
        if self.contrastive_mini_batch is not None and self.contrastive_mini_batch < 1:
            raise InputError(
                f"is {self.contrastive_mini_batch}", "give a number of texts, 1 or more", field="contrastive_mini_batch"
            )
        super().__post_init__()
