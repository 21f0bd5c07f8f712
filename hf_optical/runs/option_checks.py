"""Checks of a run's options before anything is read: missing values and values out of range."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from hf_optical.errors import InputError

if TYPE_CHECKING:
    from hf_optical.runs.options import TrainConfig

logger = logging.getLogger(__name__)

_COUNTS = (
    "batch_size",
    "gradient_accumulation_steps",
    "save_steps",
    "logging_steps",
    "eval_steps",
    "max_length",
    "max_pairs",
    "max_questions",
    "vocab_size",
    "new_pieces",
    "num_layers",
    "contrastive_mini_batch",
    "lexical_steps",
)
INDEXES = ("teacher", "student")
ADAPTERS = ("none", "lora")


def check_options(config: TrainConfig) -> None:
    """Find what is missing or out of range, before anything is read.

    Raises:
        InputError: The first such option.
    """
    from hf_optical.batching.policy import HybridPolicy
    from hf_optical.runs.query_offset import check_offset
    from hf_optical.students.marks import check_keep_marks
    from hf_optical.students.start import ROW_INITS

    for name in ("teacher", "bitext"):
        if name == "teacher" and config.index_rows and not config.plan:
            continue  # an index whose model is not available
        if not getattr(config, name):
            raise InputError("is not given", f"add --{name}, or a --config that has it", field=name)
    if not config.language and not all("=" in item for item in config.bitext):
        raise InputError("is not given", "add --language, or a --config that has it", field="language")
    for name, value, choices in (
        ("row_init", config.row_init, ROW_INITS),
        ("document_encoder", config.reads_index_of, INDEXES),
        ("adapter", config.adapter, ADAPTERS),
        ("monitor", config.monitor, ("warn", "stop", "off")),
        ("teacher_cache_dtype", config.teacher_cache_dtype, ("float16", "int8")),
        ("on_bad_rows", config.on_bad_rows, ("error", "skip")),
        ("on_problem", config.on_problem, ("error", "warn")),
        ("interaction", config.interaction or "dense", ("dense", "maxsim")),
    ):
        if value not in choices:
            raise InputError(f"is {value!r}", f"use one of {', '.join(choices)}", field=name)
    config.lora.check()
    check_keep_marks(config.keep_marks, config.student)
    _check_numbers(config)
    _check_anchor(config)
    _check_start_share(config)
    _check_validation(config)
    _check_names(config)
    HybridPolicy(**config.policy_options())  # the constructor checks these options
    check_offset(config)
    _check_limits(config)
    if config.freeze_layers and (config.adapter != "none" or config.train_embeddings != "all"):
        raise InputError(
            "freezes the embeddings too, and so does an adapter; train_embeddings chooses among trained rows",
            "leave out adapter and train_embeddings, or freeze_layers",
            field="freeze_layers",
        )
    if config.bitext_first and not config.trains_retrieval:
        raise InputError(
            "orders bitext and questions, and there are no questions",
            "leave it out, or add query_passages",
            field="bitext_first",
        )
    if config.adapter != "none" and config.train_embeddings != "all":
        raise InputError(
            f"is {config.train_embeddings!r}, but adapters freeze the embeddings anyway",
            "leave it out",
            field="train_embeddings",
        )
    _check_encoders(config)


def _check_encoders(config: TrainConfig) -> None:
    """Check options that depend on who encodes the documents."""
    if config.reads_index_of == "teacher" and config.trains_retrieval and config.passage_prompt is not None:
        raise InputError(
            "the teacher reads the passages, under its own prompt",
            "leave it out, or set document_encoder to student",
            field="passage_prompt",
        )
    if config.off_the_shelf and config.reads_index_of == "student":
        raise InputError(
            "is measured beside the teacher's index, and here the student reads the documents",
            "leave it out and use hf-optical evaluate, or set document_encoder to teacher",
            field="off_the_shelf",
        )
    if config.adapter != "none" and config.reads_index_of == "student":
        raise InputError(
            "language adapters encode queries only, but here the student encodes the documents too",
            "train without adapters, or set document_encoder to teacher (passages are English then: no context_window)",
            field="adapter",
        )


def _check_names(config: TrainConfig) -> None:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id
    from transformers.integrations import get_available_reporting_integrations

    for name in ("output_dir", "teacher_cache"):
        if not getattr(config, name).strip():
            raise InputError("is empty", "name a folder", field=name)
    if config.push_to_hub is not None:  # checked before training, because the Hub would refuse it afterwards
        try:
            validate_repo_id(config.push_to_hub)
        except HFValidationError as error:
            problem = f"{config.push_to_hub!r} is not a Hub id ({str(error).splitlines()[0][:200]})"
            raise InputError(problem, "write owner/name", field="push_to_hub") from None

    installed = ("none", "all", *get_available_reporting_integrations())
    if config.report_to not in installed:
        known = {"mlflow": "mlflow", "tensorboard": "tensorboard", "trackio": "trackio", "wandb": "wandb"}
        if config.report_to in known:
            raise InputError(
                f"{config.report_to!r} is not installed", f"pip install {known[config.report_to]}", field="report_to"
            )
        raise InputError(
            f"{config.report_to!r} is unknown",
            f"use one of {', '.join(dict.fromkeys([*installed, *known]))}",
            field="report_to",
        )


def _check_numbers(config: TrainConfig) -> None:
    from accelerate import PartialState

    for name in _COUNTS:
        value = getattr(config, name)
        if value is not None and value < 1:
            raise InputError(f"is {value}", "give a whole number of 1 or more", field=name)
    for name in ("learning_rate", "temperature"):
        value = getattr(config, name)
        if value is not None and not 0 < value < float("inf"):
            raise InputError(f"is {value}", "give a positive, finite number", field=name)
    if not 0 <= config.seed < 2**32:
        raise InputError(f"is {config.seed}", "give a whole number from 0 to 4294967295", field="seed")
    if not 0 <= config.dropout < 1:
        raise InputError(f"is {config.dropout}", "give a number from 0 to below 1", field="dropout")
    if config.lexicon and PartialState().num_processes > 1:
        raise InputError(
            "lexical injection runs on one process",
            "run it alone with --max_steps 0, then pass its model as --student",
            field="lexicon",
        )
    if config.context_window == 1 or config.context_window < 0:
        raise InputError(
            f"is {config.context_window}", "give 2 or more sentences per window, or 0", field="context_window"
        )


def _check_anchor(config: TrainConfig) -> None:
    from hf_optical.losses.terms import parse_objective

    if config.anchor and config.adapter != "none":
        raise InputError(
            f"is {config.anchor}, but a student with language adapters has no untrained copy",
            "leave it out, or set adapter to none",
            field="anchor",
        )
    if config.anchor and config.objective and "rank" not in parse_objective(config.objective):
        raise InputError(
            f"is {config.anchor}, but the objective {config.objective} has no term 'rank', whose target it is for",
            "add the term, or leave it out",
            field="anchor",
        )


def _check_start_share(config: TrainConfig) -> None:
    if not config.start_share:
        return
    from hf_optical.training.weight_mean import check_start_share

    check_start_share(config.start_share)
    for wrong, why, remedy in (
        (config.adapter != "none", "an adapter, beside which the untrained student is saved", "leave it out"),
        (
            config.trains_retrieval,
            "training on questions, where no pairs are held out to judge the mean",
            "leave it out",
        ),
        (not config.held_out, "--held_out 0, so that nothing judges the mean", "hold pairs out"),
        (config.max_steps == 0, "--max_steps 0, so that nothing is trained", "leave it out"),
    ):
        if wrong:
            raise InputError(f"is {config.start_share} beside {why}", remedy, field="start_share")


def _check_limits(config: TrainConfig) -> None:
    """Check the limits of the run's models by their configurations, without reading weights or data."""
    from hf_optical.encoders.limits import check_length, named_limits
    from hf_optical.students.grow import VOCABULARIES

    grown = config.student in VOCABULARIES
    models = {"the teacher": config.teacher, "the student": None if grown else config.student}
    for who, name in ((who, name) for who, name in models.items() if name):
        limits = named_limits(name)
        if limits.positions is not None and limits.positions < config.max_length == type(config).max_length:
            # The user did not ask for this length: it is the default.
            logger.warning("max_length is set to %d, because %s %s has no more positions", limits.positions, who, name)
            config.max_length = limits.positions
        check_length(limits, config.max_length, f"{who} {name}")
        limits.check_vocabulary(name)
        body = who == "the student" or grown  # the student has the layers of this model
        for option in ("num_layers", "lexical_layer"):
            asked = getattr(config, option)
            if asked == getattr(type(config), option) or (option == "lexical_layer" and not config.lexicon):
                continue  # a default, or an option that is not used
            if body and limits.layers is not None and asked > limits.layers:
                raise InputError(
                    f"is {asked}, and {who} has {limits.layers} layers", f"give {limits.layers} or fewer", field=option
                )


def _check_validation(config: TrainConfig) -> None:
    if not 0 <= config.held_out <= 0.5:
        raise InputError(f"is {config.held_out}", "give a share from 0 to 0.5", field="held_out")
    if config.patience < 0:
        raise InputError(
            f"is {config.patience}", "give a number of validations, or 0 to never stop early", field="patience"
        )
    if config.max_steps is not None and config.max_steps < 0:
        raise InputError(f"is {config.max_steps}", "give a number of steps, 0 or more", field="max_steps")
