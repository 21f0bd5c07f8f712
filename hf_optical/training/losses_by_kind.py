"""Losses by kind of training set, and what is computed for them from the data before training."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from datasets import Dataset
from sentence_transformers.base.model import BaseModel
from torch import Tensor, nn

from hf_optical.data.kinds import kind_of
from hf_optical.encoders.teachers import Teacher, TeacherStandIn
from hf_optical.encoders.word_vectors import comparable_layers
from hf_optical.errors import InputError
from hf_optical.losses import IndexContrastLoss, LexicalInjectionLoss, OTDistillationLoss, reads_english
from hf_optical.losses.temperature import FALLBACK
from hf_optical.losses.terms import has_temperature
from hf_optical.teacher_cache.training import bitexts
from hf_optical.training.anchor_choice import chosen_anchor
from hf_optical.training.teacher_bank import teacher_bank
from hf_optical.training.teacher_temperature import teacher_temperature
from hf_optical.training.token_idf import MOST_TEXTS, token_idf
from hf_optical.transport import SOLVERS

if TYPE_CHECKING:
    from hf_optical.training.arguments import OTDistillationTrainingArguments

logger = logging.getLogger(__name__)

Losses = nn.Module | dict[str, nn.Module]


def losses_by_kind(
    model: BaseModel,
    teacher: Teacher | None,
    args: OTDistillationTrainingArguments,
    train_dataset: Any,
    eval_dataset: Any,
    contrast: Callable[[], nn.Module],
) -> Losses:
    """Make the loss of each data set, by the kind in its name.

    Args:
        model: The student.
        teacher: The teacher, or its stand-in; ``None`` where there is no bitext.
        args: The training arguments.
        train_dataset: One data set, which must be bitext, or data sets by name.
        eval_dataset: In the same form; its data sets get losses too.
        contrast: Function that makes the loss on questions and passages.

    Returns:
        One loss for all data sets, or a dict of losses by data set; data sets of one kind share a loss.

    Raises:
        InputError: There is bitext but no teacher, a kind is unknown, or IDF marginals are asked for with a stream.
    """
    if not isinstance(train_dataset, dict):  # one loss for all data sets, as in sentence-transformers
        return _distillation(model, teacher, args, train_dataset)
    names = [*train_dataset, *(eval_dataset if isinstance(eval_dataset, dict) else ())]
    # In an index that stays, the passages are the teacher's.
    questions = contrast if args.document_encoder == "student" else partial(_index_contrast, model, teacher, args)
    makers: dict[str, Callable[[], nn.Module]] = {
        "bitext": lambda: _distillation(model, teacher, args, train_dataset),
        "mono": questions,
        "cross": questions,
        "lexicon": lambda: _lexical_injection(model, teacher, args, train_dataset),
    }
    kinds = {name: kind_of(name) for name in names}
    made = {kind: makers[kind]() for kind in sorted(set(kinds.values()))}
    return {name: made[kind] for name, kind in kinds.items()}


def student_reads_english(objective: str | None, losses: Losses) -> bool:
    """Return whether the collator must tokenise the English for the student too."""
    return (objective is not None and reads_english(objective)) or any(
        (isinstance(loss, OTDistillationLoss) and reads_english(loss.weights))
        or (isinstance(loss, LexicalInjectionLoss) and loss.teacher is None)
        for loss in _each(losses)
    )


def fill_banks(losses: Losses, train_dataset: Any, args: Any, cache: Any = None) -> None:
    """Compute the bank of each ranking term that has none, and choose temperature and anchor that are not set.

    Args:
        losses: The losses of the training; changed in place.
        train_dataset: The data set or data sets with the sentences.
        args: The training arguments: ``bank_size``, seeds,
            progress bars.
        cache: As in :func:`~hf_optical.training.teacher_bank.teacher_bank`.
    """
    seed = args.seed if args.data_seed is None else args.data_seed
    for loss in _each(losses):
        if not isinstance(loss, OTDistillationLoss):
            continue
        no_bank = "rank" in loss.weights and loss.bank is None
        no_temperature = has_temperature(loss.weights) and loss.temperature is None
        if "rank" in loss.weights and loss.anchor is None:
            given = getattr(args, "anchor", None)
            loss.keep_untrained(
                chosen_anchor(loss.model, loss.teacher, train_dataset, seed=seed) if given is None else given
            )
        if not no_bank and not no_temperature:
            continue
        texts = [text for _, _, rows in bitexts(train_dataset) for text in rows["source"]]
        if no_bank:
            show = not args.disable_tqdm
            loss.bank = teacher_bank(
                loss.teacher, texts, size=args.bank_size, seed=seed, show_progress=show, cache=cache
            )
        if no_temperature:
            loss.temperature = teacher_temperature(loss.teacher, texts, bank=loss.bank, seed=seed, cache=cache)
            logger.info("Temperature %g, chosen from the teacher's scores", loss.temperature)


@contextmanager
def unchecked(losses: Losses) -> Iterator[None]:
    """Losses without their own look for what is not finite, which waits for the device; for who looks later."""
    checked = [loss for loss in _each(losses) if isinstance(loss, OTDistillationLoss) and loss.check_finite]
    for loss in checked:
        loss.check_finite = False
    try:
        yield
    finally:
        for loss in checked:
            loss.check_finite = True


def chosen_temperature(losses: Losses) -> float | None:
    """Return the temperature of the distillation, given or chosen; ``None`` if no term uses one."""
    found = [
        loss.temperature
        for loss in _each(losses)
        if isinstance(loss, OTDistillationLoss) and has_temperature(loss.weights)
    ]
    return found[0] if found else None


def anchor_of(losses: Losses) -> float | None:
    """Return the share of the untrained student in the target, given or chosen; ``None`` without a ranking term."""
    found = [loss.anchor for loss in _each(losses) if isinstance(loss, OTDistillationLoss) and "rank" in loss.weights]
    return found[0] if found else None


def _each(losses: Losses) -> list[nn.Module]:
    return list(losses.values()) if isinstance(losses, dict) else [losses]


def _distillation(
    model: BaseModel, teacher: Teacher | None, args: OTDistillationTrainingArguments, train_dataset: Any
) -> OTDistillationLoss:
    if teacher is None:
        raise InputError("there is bitext to train on, but no teacher", "pass teacher= (or your own loss=)")
    return OTDistillationLoss(
        model,
        teacher,
        solver=SOLVERS[args.solver](),
        objective=args.objective,
        special_tokens=args.special_tokens,  # type: ignore[arg-type]
        temperature=args.temperature,
        anchor=args.anchor,
        token_weights=_idf(model, teacher, train_dataset) if args.marginals == "idf" else None,
        gather_across_devices=args.gather_across_devices,
    )


def _index_contrast(
    model: BaseModel, teacher: Teacher | None, args: OTDistillationTrainingArguments
) -> IndexContrastLoss:
    if teacher is None:
        raise InputError(
            "the teacher has to encode the passages, but there is no teacher",
            "pass teacher=, or document_encoder='student' (--document_encoder student)",
            field="document_encoder",
        )
    if args.contrastive_mini_batch is not None:
        raise InputError(
            "if the teacher encodes the passages, only questions need memory for gradients",
            "leave it out",
            field="contrastive_mini_batch",
        )
    return IndexContrastLoss(
        model,
        teacher,
        temperature=args.temperature or FALLBACK,
        gather_across_devices=args.gather_across_devices,
    )


def _lexical_injection(
    model: BaseModel, teacher: Teacher | None, args: OTDistillationTrainingArguments, train_dataset: Any
) -> LexicalInjectionLoss:
    # Words are compared at inner layers, which a stand-in for the teacher does not have.
    online = teacher.online if isinstance(teacher, TeacherStandIn) else teacher
    lexicons = [rows for name, rows in train_dataset.items() if kind_of(name) == "lexicon"]
    return LexicalInjectionLoss(
        model,
        # A student of another architecture has no layer comparable with the teacher's; it encodes both sides itself.
        online if online is not None and comparable_layers(model, online) else None,
        objective=args.lexical_objective,  # type: ignore[arg-type]
        layer=args.lexical_layer,
        output_weight=args.lexical_output_weight,
        margin=args.lexical_margin,
        temperature=args.temperature or FALLBACK,
        lexicon=[(row["source"], row["translation"]) for rows in lexicons if isinstance(rows, Dataset) for row in rows],
        gather_across_devices=args.gather_across_devices,
    )


def _idf(student: BaseModel, teacher: Teacher, data: Any) -> tuple[Tensor, Tensor]:
    """Compute IDF weights of the student's and of the teacher's tokens from the sentences of the bitext."""
    sets = data.items() if isinstance(data, dict) else [("bitext", data)]
    bitext = [rows for name, rows in sets if kind_of(name) == "bitext"]
    if not all(isinstance(rows, Dataset) for rows in bitext):
        raise InputError(
            "idf marginals count words in the training data, but there is none or it is a stream",
            "use a Dataset, or --marginals uniform (marginals='uniform')",
            field="marginals",
        )
    share = MOST_TEXTS // max(1, len(bitext))

    def texts(column: str) -> list[str]:
        return [text for rows in bitext for text in rows.select(range(min(share, len(rows))))[column]]

    return token_idf(student, texts("translation")), token_idf(teacher, texts("source"))
