"""Trainer and monitor of a run, made from its options."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from datasets import Dataset
from sentence_transformers import MultiVectorEncoder

from hf_optical.adapters import LanguageAdapters
from hf_optical.batching import HybridBatchSampler, HybridPolicy, LengthGroupedBatchSampler, TokenLengths
from hf_optical.batching.policy import KINDS, split_name
from hf_optical.losses import parse_objective
from hf_optical.runs.options import TrainConfig
from hf_optical.runs.shared_folder import SharedFolder
from hf_optical.runs.training_data import TrainingData
from hf_optical.training.arguments import OTDistillationTrainingArguments
from hf_optical.training.monitor import TrainingMonitor
from hf_optical.training.trainer import MultiVectorOTDistillationTrainer, OTDistillationTrainer
from hf_optical.transport import SOLVERS

_WATCHED, _FEWEST_WATCHED = 64, 16


def trainer_for(
    config: TrainConfig,
    args: OTDistillationTrainingArguments,
    student: Any,
    teacher: Any,
    data: TrainingData,
    cache: Path | None = None,
) -> OTDistillationTrainer | MultiVectorOTDistillationTrainer:
    """Make the trainer of a run; ``cache`` is the folder of the teacher's cache."""
    sets = data.sets(bitext=not data.retrieval or config.bitext_share > 0)
    if data.retrieval:
        sets = _drawn_sets(config, sets)
        ids = data.ids()
        args.multi_dataset_batch_sampler = HybridBatchSampler.with_policy(
            **config.policy_options(),
            names=list(sets),
            ids={name: ids[name] for name in sets if name in ids},
            bitext_batches=_bitext_batches(config, args) if config.bitext_first else None,
            gathered=args.gather_across_devices,
        )
    elif config.group_by_length:
        args.batch_sampler = LengthGroupedBatchSampler.with_options(
            # The student's side is the expensive one: it has a forward and a backward pass, the teacher at most a
            # forward pass.
            length_column="translation",
            length_of=TokenLengths(student, config.max_length),
        )
    student.model_card_data.set_widget_examples = lambda dataset: None  # the run writes its own card, without examples
    kind = MultiVectorOTDistillationTrainer if isinstance(student, MultiVectorEncoder) else OTDistillationTrainer
    trainer = kind(
        model=student,
        teacher=teacher,
        args=args,
        train_dataset=sets,
        teacher_cache=cache,
        teacher_cache_dtype=config.teacher_cache_dtype,
    )
    trainer.bank_cache = SharedFolder(config.shared).sentences()
    return trainer


def _drawn_sets(config: TrainConfig, sets: dict[str, Dataset]) -> dict[str, Dataset]:
    """Leave out the sets of kinds that the policy never draws, which would only lengthen an epoch."""
    shares = dict(zip(KINDS, HybridPolicy(**config.policy_options()).shares(), strict=True))
    kept = {name: rows for name, rows in sets.items() if shares[split_name(name)[0]] > 0}
    return kept or sets  # the sampler says what is missing


def _bitext_batches(config: TrainConfig, args: OTDistillationTrainingArguments) -> int:
    """Return the number of batches, over all processes, that the bitext's share of the steps takes."""
    return round(config.bitext_share * args.max_steps) * args.gradient_accumulation_steps * args.world_size


def watch_for(
    config: TrainConfig, teacher: Any, data: TrainingData, adapters: LanguageAdapters | None
) -> TrainingMonitor | None:
    """Make a monitor of some pairs, or None if there are too few pairs."""
    language = data.languages[0]
    # Only one language goes through an adapter at a time; without adapters all languages are monitored together.
    rows = data.bitext[language] if adapters else data.all_bitext()
    if config.monitor == "off" or not config.max_steps or len(rows) < _FEWEST_WATCHED:
        return None
    drawn = rows.shuffle(seed=config.seed).select(range(min(_WATCHED, len(rows))))
    transports = {"ot", "source"} & set(parse_objective(str(config.objective)))
    return TrainingMonitor(
        teacher,
        drawn["source"],
        drawn["translation"],
        solver=SOLVERS[config.solver]() if transports else None,
        using=partial(adapters.use, language) if adapters else nullcontext,
        on_alarm=config.monitor,  # type: ignore[arg-type]
    )
