"""Distil an English retriever into a student of another language by optimal transport between token vectors."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

import torch
from sentence_transformers.base.model import BaseModel
from sentence_transformers.util.distributed import all_gather
from torch import Tensor, nn

from hf_optical.encoders.copies import frozen_copy
from hf_optical.encoders.feature_keys import CACHED_ROWS, MIRROR
from hf_optical.encoders.teachers import Teacher, TeacherStandIn, check_same_space, freeze, is_late_interaction
from hf_optical.encoders.token_view import SpecialTokens, TokenView, boundary_token_ids, encode_tokens, pools_one_token
from hf_optical.errors import InputError, check_choice, check_positive
from hf_optical.losses.alignment import transport_term
from hf_optical.losses.anchor import anchored_target, check_share
from hf_optical.losses.citations import OPTICAL
from hf_optical.losses.contrast import InBatchContrast
from hf_optical.losses.features import check_pairs, needs_own_tokens
from hf_optical.losses.finite import check_finite
from hf_optical.losses.matryoshka import check_dimensions, cut_bank, refuse_wrapper
from hf_optical.losses.ranking import ranking_loss
from hf_optical.losses.sentence_terms import SENTENCE_TERMS, sentence_term
from hf_optical.losses.temperature import FALLBACK, bank_temperature
from hf_optical.losses.terms import (
    default_objective,
    has_temperature,
    parse_objective,
    reads_english,
    refuse_rank,
    refuse_token_terms,
)
from hf_optical.losses.token_terms import TOKEN_TERMS, token_term
from hf_optical.transport import IPOT, TransportSolver

logger = logging.getLogger(__name__)

# These terms train the special tokens only where special_tokens is not "exclude".
_OF_TOKENS = {"ot", "source", *TOKEN_TERMS}
_ENGLISH_READING = "student on the English"


class OTDistillationLoss(nn.Module):
    """Optimal-transport distillation of an English teacher into a student that reads another language.

    The teacher reads the English sentence, the student its translation. The plan between their tokens is found by
    ``solver`` and detached; the loss is its transport cost, mean over the batch. Sentence-level terms can be added.

    Args:
        model: The student: a ``SentenceTransformer`` or ``MultiVectorEncoder`` whose token vectors have the teacher's
            width (:func:`hf_optical.students.adapt_student` sees to that).
        teacher: The English retriever. It is frozen here: it is never in the optimizer and never in training mode. May
            be a :class:`~hf_optical.teacher_cache.CachedTeacher`.
        solver: ``IPOT()`` (default), ``Sinkhorn()`` or ``Exact()``.
        objective: Terms and weights: ``"ot"``, ``"ot+nce"``, ``{"ot": 1.0, "nce": 0.5}``... See
            :data:`hf_optical.losses.terms.TERMS`. The default is ``"ot+rank"``, and ``"ot+nce"`` for late interaction.
        special_tokens: ``"match"``, ``"exclude"`` or ``"transport"``; see
            :func:`hf_optical.losses.alignment.transport_loss`.
        temperature: Number by which the scores of the terms ``nce``, ``rank`` and ``self_nce`` are divided (cosines;
            mean MaxSim for multi-vector models). With ``None`` it is chosen from the teacher's own scores
            (:func:`~hf_optical.training.teacher_temperature.teacher_temperature`) by the trainers before the first
            step, or by this loss at its first step from the bank; it is .05 where there is no bank.
        token_weights: Importance of every token id in the student's and in the teacher's vocabulary, for example IDF
            from :func:`hf_optical.transport.idf_weights`; uniform marginals if ``None``.
        bank: The teacher's unit sentence vectors of the English side of the bitext, (N, d), for the term ``rank``:
            :func:`~hf_optical.training.teacher_bank.teacher_bank`. It can be set later; the trainers compute it.
            Without a bank only the English of the batch is ranked, from which the student learns far less; a warning
            says so.
        anchor: Share of the untrained student in the target of the term ``rank``
            (:func:`~hf_optical.losses.anchor.anchored_target`), at least 0 and below 1. Above 0 the loss keeps a frozen
            copy of the model as it is now, which also reads every translation. With ``None`` the trainers choose it
            before the first step (:func:`~hf_optical.training.anchor_choice.chosen_anchor`); without them it is 0.
        matryoshka_dims: Widths at which a dense student's sentence terms are trained: both sides' vectors are truncated
            to each width and the terms averaged. Include the full width to train it too. Token terms are not affected.
        gather_across_devices: Contrast with the English of all processes, so that two processes give the same loss as
            one.
        check_finite: Stop with :class:`~hf_optical.errors.NonFiniteError`, naming the rows, before a NaN can reach the
            optimizer. This costs one device synchronisation per step.

    Raises:
        InputError: Student and teacher have vectors of different widths, or are the same object.

    References:
        - Huang, Yu, Allan: Improving Cross-lingual Information Retrieval on Low-Resource Languages via Optimal
          Transport Distillation, WSDM 2023, https://arxiv.org/abs/2301.12566
        - Xie et al.: A Fast Proximal Point Method for Computing Exact Wasserstein Distance (IPOT),
          https://arxiv.org/abs/1802.04307

    Requirements:
        1. (English sentence, translation) pairs, in this order.
        2. If the teacher has another tokenizer than the student:
           ``data_collator=OTDistillationDataCollator.for_models(student, teacher)``.

    Inputs:
        +-------------------------+--------+
        | Inputs                  | Labels |
        +=========================+========+
        | (source, translation)   | none   |
        +-------------------------+--------+

    Relations:
        - ``MSELoss`` of sentence-transformers distils sentence vectors only; here ``objective="mse"``.

    Example:
        ::

            from datasets import Dataset
            from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer
            from hf_optical import OTDistillationLoss, grow_student

            teacher = SentenceTransformer("sentence-transformers/all-MiniLM-L6-v2")
            rows = Dataset.from_dict({"source": ["The goat sleeps."], "translation": ["Mbuzi analala."]})
            student = grow_student(teacher, rows["translation"], vocabulary="copy")
            loss = OTDistillationLoss(student, teacher)
            SentenceTransformerTrainer(model=student, train_dataset=rows, loss=loss).train()
    """

    def __init__(
        self,
        model: BaseModel,
        teacher: Teacher,
        *,
        solver: TransportSolver | None = None,
        objective: str | Mapping[str, float] | None = None,
        special_tokens: SpecialTokens = "match",
        temperature: float | None = None,
        token_weights: tuple[Tensor, Tensor] | None = None,
        bank: Tensor | None = None,
        anchor: float | None = None,
        matryoshka_dims: Sequence[int] | None = None,
        gather_across_devices: bool = False,
        check_finite: bool = True,
    ) -> None:
        super().__init__()
        check_choice("special_tokens", special_tokens, get_args(SpecialTokens))
        if temperature is not None:
            check_positive("temperature", temperature)
        if teacher is model:
            raise InputError("teacher and student are the same object", "pass a copy of the model as the student")
        self.model = model
        self.teacher = freeze(teacher)
        self.solver = solver if solver is not None else IPOT()
        self.late_interaction = is_late_interaction(model)
        if objective is None:
            objective = default_objective(late_interaction=self.late_interaction)
        self.weights = parse_objective(objective)
        self.special_tokens = special_tokens
        self.gather_across_devices = gather_across_devices
        self.check_finite = check_finite
        if isinstance(teacher, TeacherStandIn) and not teacher.gives_tokens:
            refuse_token_terms(self.weights)
        if self.late_interaction:
            refuse_rank(self.weights)
        check_same_space(model, teacher)
        if special_tokens == "exclude" and not set(self.weights) - _OF_TOKENS and pools_one_token(model):
            raise InputError(
                "the student's sentence vector is the vector of a special token, which special_tokens='exclude' "
                "leaves untrained",
                "use special_tokens='match', or add a term on sentence vectors, e.g. 'ot+nce'",
                field="special_tokens",
            )
        if matryoshka_dims and self.late_interaction:
            raise InputError(
                "a late-interaction student has no sentence vector", "leave it out", field="matryoshka_dims"
            )
        self.matryoshka_dims = check_dimensions(matryoshka_dims, model.get_embedding_dimension())  # type: ignore[operator]
        self.needs_teacher_tokens = needs_own_tokens(model, teacher)
        self._tokenizers = {"student": model.tokenizer, _ENGLISH_READING: model.tokenizer, "teacher": teacher.tokenizer}
        self._boundary = {"student": boundary_token_ids(model), "teacher": boundary_token_ids(teacher)}
        self.contrast = InBatchContrast(
            FALLBACK, late_interaction=self.late_interaction, gather_across_devices=gather_across_devices
        )
        self.temperature = temperature
        self.student_token_weights: Tensor | None
        self.teacher_token_weights: Tensor | None
        student_weights, teacher_weights = token_weights if token_weights is not None else (None, None)
        self.register_buffer("student_token_weights", student_weights)
        self.register_buffer("teacher_token_weights", teacher_weights)
        self.untrained: nn.Module | None = None
        self.anchor: float | None = None
        if anchor is not None:
            self.keep_untrained(anchor)
        self._said_no_bank = False
        self.bank: Tensor | None
        # not saved: on resuming it is computed from teacher and data again
        self.register_buffer("bank", bank, persistent=False)

    @property
    def temperature(self) -> float | None:
        """Temperature by which scores are divided; ``None`` until it is chosen."""
        return self._temperature

    @temperature.setter
    def temperature(self, value: float | None) -> None:
        self._temperature = value
        if value is not None:
            self.contrast.temperature = value

    def keep_untrained(self, anchor: float) -> None:
        """Set the share of the untrained student in the target, and copy the model as it is now.

        Raises:
            InputError: The share is out of range, or the objective has no term ``rank``.
        """
        check_share(anchor)
        if anchor and "rank" not in self.weights:
            raise InputError(
                f"is {anchor}, but the objective has no term 'rank', whose target it is for",
                "add the term, or leave it out",
                field="anchor",
            )
        self.anchor = anchor
        online = self.teacher.online if isinstance(self.teacher, TeacherStandIn) else self.teacher
        self.untrained = frozen_copy(self.model, online) if anchor else None

    def train(self, mode: bool = True) -> OTDistillationLoss:
        """Set training mode for everything except the teacher and the untrained copy, whose dropout stays off."""
        super().train(mode)
        self.teacher.eval()
        if self.untrained is not None:
            self.untrained.eval()
        return self

    def forward(
        self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Compute the weighted terms of one batch, by name; the trainer adds them up and logs each.

        Args:
            sentence_features: Features of the English (for the teacher), of the translation (for the student), and,
                with the ``source`` and ``self_nce`` terms, of the English as the student tokenises it.
            labels: Unused.
        """
        refuse_wrapper(self.model)
        features = list(sentence_features)
        check_pairs(features, self.weights, teachers_own=self.needs_teacher_tokens)
        teacher = self._read_teacher(features[0])
        views = {"student": self._read(features[1])}
        if reads_english(self.weights):
            views[_ENGLISH_READING] = self._read(features[-1] if features[-1].get(MIRROR) else features[0])
        if self.check_finite:  # checked before the solver, which also stops at a NaN but cannot name the model
            check_finite({"teacher": teacher, **views}, self._tokenizers)
        if self.temperature is None and has_temperature(self.weights):
            self.temperature = FALLBACK if self.bank is None else bank_temperature(self.bank)
        terms = self.compute_terms(views["student"], self._anchored(teacher, features[1]))
        if "self_nce" in self.weights:
            with torch.autocast(teacher.tokens.device.type, enabled=False):
                value = self._of_sentences("self_nce", views["student"], views[_ENGLISH_READING])
            terms["self_nce"] = self.weights["self_nce"] * value
        if "source" in self.weights:
            for name, value in self.compute_terms(views[_ENGLISH_READING], teacher).items():
                terms[f"source_{name}"] = self.weights["source"] * value
        return terms

    def compute_terms(self, student: TokenView, teacher: TokenView) -> dict[str, Tensor]:
        """Compute the weighted terms from token views alone, without a model; returns a dict of scalars."""
        terms: dict[str, Tensor] = {}
        # Computed in float32 under any autocast: in half precision the plan does not reach its marginals.
        with torch.autocast(student.tokens.device.type, enabled=False):
            for name, weight in self.weights.items():
                if name == "ot":
                    value = self._transport(student, teacher)
                elif name in TOKEN_TERMS:
                    value = token_term(name, student, teacher, self.special_tokens)
                elif name in SENTENCE_TERMS:
                    value = self._of_sentences(name, student, teacher)
                else:
                    continue
                terms[name] = weight * value
        return terms

    def _read_teacher(self, features: Mapping[str, Any]) -> TokenView:
        rows = features.get(CACHED_ROWS)
        if rows is not None:
            assert isinstance(self.teacher, TeacherStandIn)
            return self.teacher.token_view(rows)
        with torch.no_grad():
            return encode_tokens(
                self.teacher, features, self._boundary["teacher"], late_interaction=is_late_interaction(self.teacher)
            )

    def _read(self, features: Mapping[str, Any]) -> TokenView:
        return encode_tokens(self.model, features, self._boundary["student"], late_interaction=self.late_interaction)

    def _anchored(self, teacher: TokenView, features: Mapping[str, Any]) -> TokenView:
        """Give the ranking term a target of its own, in which the untrained student has its share."""
        if self.untrained is None or not self.anchor:
            return teacher
        self.untrained.to(features["input_ids"].device)  # it may have been copied before the model was moved
        with torch.no_grad():
            own = encode_tokens(
                self.untrained, features, self._boundary["student"], late_interaction=self.late_interaction
            )
        return replace(teacher, target=anchored_target(teacher.sentence, own.sentence, self.anchor))

    def _of_sentences(self, name: str, student: TokenView, other: TokenView) -> Tensor:
        how: dict[str, Any] = {"contrast": self.contrast, "rank": self._rank, "widths": self.matryoshka_dims}
        return sentence_term(name, student, other, **how)

    def _rank(self, student: TokenView, teacher: TokenView) -> Tensor:
        if self.bank is None:
            if not self._said_no_bank:
                logger.warning("No bank is given, so the term 'rank' ranks only the English of each batch")
                self._said_no_bank = True
            bank = all_gather(teacher.sentence) if self.gather_across_devices else teacher.sentence
        else:
            # moved once, because the bank may be set after the loss was moved to its device
            bank = self.bank = self.bank.to(student.sentence.device)
        bank = cut_bank(bank, student.sentence.shape[-1])
        target = teacher.sentence if teacher.target is None else teacher.target
        return ranking_loss(student.sentence, target, bank, self.temperature or FALLBACK)

    def _transport(self, student: TokenView, teacher: TokenView) -> Tensor:
        weights = [
            None if table is None else table.to(view.input_ids.device)[view.input_ids]
            for table, view in ((self.student_token_weights, student), (self.teacher_token_weights, teacher))
        ]
        return transport_term(student, teacher, self.solver, self.special_tokens, (weights[0], weights[1])).mean()

    def get_config_dict(self) -> dict[str, Any]:
        """Return the configuration for the model card."""
        return {
            "solver": repr(self.solver),
            "objective": self.weights,
            "special_tokens": self.special_tokens,
            "temperature": self.temperature,
            **({"anchor": self.anchor} if self.anchor else {}),
            "marginals": "uniform" if self.student_token_weights is None else "weighted by token",
            "gather_across_devices": self.gather_across_devices,
            **({"matryoshka_dims": list(self.matryoshka_dims)} if self.matryoshka_dims else {}),
        }

    @property
    def citation(self) -> str:
        """BibTeX of the method, for the model card."""
        return OPTICAL
