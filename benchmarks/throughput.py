r"""Pairs per second of this recipe's training and of sentence-transformers' stock multilingual recipe, in turns.

    python benchmarks/throughput.py --teacher sentence-transformers/all-MiniLM-L6-v2 --student FOLDER \
        --bitext FILE --language swh_Latn --eval FOLDER --output benchmarks/results/throughput.json

Same student, pairs, batch, longest text, float32, dropout 0, one thread. ``ours`` is what ``recipes/train.py`` runs
(ot+rank, batches of similar length, watch and logging as they are by default) with the teacher's vectors read from the
cache: an epoch after the first; ``ours, adapter`` the same with ``--adapter lora``. ``stock online`` is that recipe at
its mildest: its student reads the translations only and pays for the teacher. ``stock literal`` is its example as it
stands: the student reads English and translation, labels encoded before. They take turns, segment by segment, in one
process; times are CPU time of the process, which another process on the machine disturbs least, and wall time beside.
What the first epoch pays besides, for cache, labels and all that comes before the first step, is timed apart. Then all
are measured on retrieval, after the same pairs, seed by seed.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
from throughput_results import SpeedNotes, retrieval_scores, summary, table
from throughput_stock import labelled, literal_trainer, online_trainer
from throughput_turns import train_in_turns
from transformers.trainer_utils import SaveStrategy

from hf_optical.adapters import LanguageAdapters
from hf_optical.configuration.parsing import run
from hf_optical.data.languages import normalize
from hf_optical.data.retrieval import read_retrieval_set
from hf_optical.encoders.models import load_encoder, set_dropout
from hf_optical.evaluation.document_cache import DocumentCache
from hf_optical.results.files import write_json
from hf_optical.runs.options import TrainConfig
from hf_optical.runs.trainers import trainer_for, watch_for
from hf_optical.runs.training_data import TrainingData, read_training_data
from hf_optical.teacher_cache.training import fill_for

OURS, ADAPTER, ONLINE, LITERAL = "ours", "ours, adapter", "stock online", "stock literal"


@dataclass
class ThroughputBenchmark:
    """Options."""

    teacher: str = field(default="", metadata={"help": "English retriever: Hub id or folder.", "path": True})
    student: str = field(
        default="", metadata={"help": "The student that all start from: Hub id or folder.", "path": True}
    )
    bitext: str = field(default="", metadata={"help": "Sentence pairs.", "path": True})
    language: str = field(default="swh_Latn", metadata={"help": "Of the translations."})
    eval: list[str] = field(default_factory=list, metadata={"help": "Folder(s) of retrieval sets.", "path": True})
    repeats: int = field(default=5, metadata={"help": "Segments of each, for every seed."})
    steps: int = field(default=12, metadata={"help": "Steps of a segment."})
    batch_size: int = field(default=32, metadata={"help": "Pairs per step."})
    max_length: int = field(default=128, metadata={"help": "Tokens per text; 128 is the stock example's."})
    learning_rate: float = field(default=1e-4, metadata={"help": "Of ours."})
    adapter_learning_rate: float = field(default=2e-3, metadata={"help": "Of ours with an adapter."})
    online_learning_rate: float = field(default=1e-4, metadata={"help": "Of the stock recipe at its mildest."})
    literal_learning_rate: float = field(default=1e-4, metadata={"help": "Of the stock recipe's example."})
    train_embeddings: str = field(default="all", metadata={"help": "Of ours: all, used or none."})
    seeds: list[int] = field(default_factory=lambda: [0], metadata={"help": "Each draws other pairs and batches."})
    machine: str = field(default="", metadata={"help": "The machine in words."})
    output: str | None = field(default=None, metadata={"help": "Write the figures into this JSON file.", "path": True})


def main(config: ThroughputBenchmark) -> None:
    """Train all in turns, measure, say and write."""
    torch.set_num_threads(1)
    teacher: Any = load_encoder(config.teacher, device="cpu")
    teacher.max_seq_length = min(teacher.max_seq_length or config.max_length, config.max_length)
    language, cache = normalize(config.language), DocumentCache()
    sets = [read_retrieval_set(folder, language) for folder in config.eval]
    notes, scores, fingerprints = SpeedNotes(), {}, []
    for seed in config.seeds:
        with TemporaryDirectory() as folder:
            recipe = _recipe(config, Path(folder), seed)
            data = read_training_data(recipe)
            students = {name: _student(config, recipe) for name in (OURS, ADAPTER, ONLINE, LITERAL)}
            lengths = {name: _note_lengths(student) for name, student in students.items()}
            trainers, once = _trainers(config, recipe, data, teacher, students)
            notes.add(train_in_turns(trainers, config.steps), once, lengths)
            fingerprints = data.fingerprints
            scores[seed] = retrieval_scores(students, sets, teacher, cache)
    settings = {**vars(config), "data": fingerprints}
    results = summary(settings, notes, scores, ours=(OURS, ADAPTER), theirs=(ONLINE, LITERAL))
    print(table(results))
    if config.output:
        write_json(Path(config.output), results)


def _recipe(config: ThroughputBenchmark, folder: Path, seed: int) -> TrainConfig:
    steps = config.repeats * config.steps
    return TrainConfig(
        teacher=config.teacher,
        student=config.student,
        language=normalize(config.language),
        bitext=[config.bitext],
        eval=list(config.eval),
        max_pairs=steps * config.batch_size,
        output_dir=str(folder / OURS),
        max_steps=steps,
        batch_size=config.batch_size,
        max_length=config.max_length,
        objective="ot+rank",
        temperature=0.05,  # as the published figures were measured
        held_out=0.0,
        learning_rate=config.learning_rate,
        train_embeddings=config.train_embeddings,
        teacher_cache=str(folder / "cache"),
        seed=seed,
    )


def _with_adapter(config: ThroughputBenchmark, recipe: TrainConfig) -> TrainConfig:
    return replace(
        recipe,
        adapter="lora",
        train_embeddings="all",  # the base is not trained: nothing to choose
        learning_rate=config.adapter_learning_rate,
        output_dir=str(Path(recipe.output_dir).with_name("adapter")),
        teacher_cache=str(Path(recipe.output_dir).with_name("cache of adapter")),
    )


def _student(config: ThroughputBenchmark, recipe: TrainConfig) -> Any:
    student: Any = load_encoder(config.student, device="cpu")
    student.max_seq_length = min(student.max_seq_length or config.max_length, config.max_length)
    set_dropout(student, recipe.dropout)
    return student


def _note_lengths(student: Any) -> list[tuple[int, int]]:
    """Token positions of every batch that the student will read in training, with padding and without."""
    found: list[tuple[int, int]] = []

    def note(module: Any, inputs: tuple[Any, ...]) -> None:
        if module.training:
            found.append((inputs[0]["input_ids"].numel(), int(inputs[0]["attention_mask"].sum())))

    student.register_forward_pre_hook(note)
    return found


def _trainers(
    config: ThroughputBenchmark, recipe: TrainConfig, data: TrainingData, teacher: Any, students: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, float]]:
    """The trainers, and the CPU seconds that each spends on cache or labels."""
    adapted = _with_adapter(config, recipe)
    torch.manual_seed(recipe.seed)
    LanguageAdapters(students[ADAPTER]).add(recipe.language or config.language, **adapted.lora.adapter_options())
    once = {ONLINE: 0.0}
    trainers = {}
    for name, options in ((OURS, recipe), (ADAPTER, adapted)):
        trainers[name], once[name] = _ours(options, students[name], teacher, data)
    rows = data.all_bitext()
    began = time.process_time()
    with_labels = labelled(teacher, rows, config.batch_size)
    once[LITERAL] = time.process_time() - began
    options: dict[str, Any] = {
        "per_device_train_batch_size": config.batch_size,
        "max_steps": recipe.max_steps,
        "warmup_steps": trainers[OURS].args.warmup_steps,
        "logging_steps": trainers[OURS].args.logging_steps,
        "dataloader_pin_memory": False,
        "disable_tqdm": True,
        "seed": recipe.seed,
    }
    folder = Path(recipe.output_dir).parent
    online = options | {"output_dir": str(folder / "online"), "learning_rate": config.online_learning_rate}
    literal = options | {"output_dir": str(folder / "literal"), "learning_rate": config.literal_learning_rate}
    stock = {
        ONLINE: online_trainer(students[ONLINE], teacher, rows, **online),
        LITERAL: literal_trainer(students[LITERAL], with_labels, **literal),
    }
    return {**trainers, **stock}, once


def _ours(recipe: TrainConfig, student: Any, teacher: Any, data: TrainingData) -> tuple[Any, float]:
    """The trainer as the recipe makes it, and the CPU seconds that filling its cache took."""
    args = recipe.arguments()
    args.disable_tqdm = True
    args.save_strategy = SaveStrategy.NO  # as in the stock recipe here: a checkpoint at the end is paid once a run
    trainer = trainer_for(recipe, args, student, teacher, data, Path(recipe.teacher_cache))
    if watch := watch_for(recipe, teacher, data, LanguageAdapters.of(student)):
        trainer.add_callback(watch)
    began = time.process_time()
    fill_for(trainer, trainer.teacher)
    return trainer, time.process_time() - began


if __name__ == "__main__":
    run(main, ThroughputBenchmark)
