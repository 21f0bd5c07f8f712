r"""Pairs per second of this recipe's training and of sentence-transformers' stock multilingual recipe, in turns.

    python benchmarks/throughput.py --teacher sentence-transformers/all-MiniLM-L6-v2 --student FOLDER \
        --bitext FILE --language swh_Latn --eval FOLDER --output benchmarks/results/throughput.json

Same student, pairs, batch, longest text, learning rate, float32, dropout 0, one thread. ``ours`` is what
``recipes/train.py`` runs (ot+nce, batches of similar length, watch and logging as they are by default) with the
teacher's vectors read from the cache: an epoch after the first. ``stock online`` is the stock recipe at its mildest:
its student reads the translations only and pays for the teacher. ``stock literal`` is its example as it stands: the
student reads English and translation, labels encoded before. They take turns, segment by segment, in one process; times
are CPU time of the process, which another process on the machine disturbs least, and wall time beside. What the first
epoch pays besides, for cache and labels, is timed apart.
"""

from __future__ import annotations

import os
import platform
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
from throughput_stock import labelled, literal_trainer, online_trainer
from throughput_turns import Segments, train_in_turns
from transformers.trainer_utils import SaveStrategy

from hf_optical.adapters import LanguageAdapters
from hf_optical.configuration import run
from hf_optical.data.languages import normalize
from hf_optical.data.retrieval import read_retrieval_set
from hf_optical.evaluation.document_cache import DocumentCache
from hf_optical.evaluation.retrieval import evaluate_retrieval
from hf_optical.models import load_encoder, set_dropout
from hf_optical.results import portable, versions, write_json
from hf_optical.runs.options import TrainConfig
from hf_optical.runs.training_data import TrainingData, read_training_data
from hf_optical.runs.training_run import trainer_for, watch_for
from hf_optical.teacher_cache.training import fill_for

OURS, ONLINE, LITERAL = "ours", "stock online", "stock literal"


@dataclass
class ThroughputBenchmark:
    """Options."""

    teacher: str = field(default="", metadata={"help": "English retriever: Hub id or folder."})
    student: str = field(default="", metadata={"help": "The student that all start from: Hub id or folder."})
    bitext: str = field(default="", metadata={"help": "Sentence pairs."})
    language: str = field(default="swh_Latn", metadata={"help": "Of the translations."})
    eval: list[str] = field(default_factory=list, metadata={"help": "Folder(s) of retrieval sets."})
    repeats: int = field(default=5, metadata={"help": "Segments of each."})
    steps: int = field(default=12, metadata={"help": "Steps of a segment."})
    batch_size: int = field(default=32, metadata={"help": "Pairs per step."})
    max_length: int = field(default=128, metadata={"help": "Tokens per text; 128 is the stock example's."})
    learning_rate: float = field(default=1e-4, metadata={"help": "Of all."})
    train_embeddings: str = field(default="all", metadata={"help": "Of ours: all, used or none."})
    seed: int = field(default=0, metadata={"help": "Draws the pairs and their order."})
    machine: str = field(default="", metadata={"help": "The machine in words."})
    output: str | None = field(default=None, metadata={"help": "Write the figures into this JSON file."})


def main(config: ThroughputBenchmark) -> None:
    """Train all in turns, measure, say and write."""
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        recipe = _recipe(config, Path(folder))
        data = read_training_data(recipe)
        teacher: Any = load_encoder(config.teacher, device="cpu")
        teacher.max_seq_length = min(teacher.max_seq_length or config.max_length, config.max_length)
        students = {name: _student(config) for name in (OURS, ONLINE, LITERAL)}
        lengths = {name: _note_lengths(student) for name, student in students.items()}
        trainers, once = _trainers(config, recipe, data, teacher, students)
        segments = train_in_turns(trainers, config.steps)
        padded = {name: statistics.mean(found) for name, found in lengths.items()}
        results = _results(config, segments, once, padded, data)
        results["retrieval"] = _retrieval(config, teacher, students)
    print(table(results))
    if config.output:
        write_json(Path(config.output), results)


def _recipe(config: ThroughputBenchmark, folder: Path) -> TrainConfig:
    steps = config.repeats * config.steps
    return TrainConfig(
        teacher=config.teacher,
        student=config.student,
        language=normalize(config.language),
        bitext=[config.bitext],
        eval=list(config.eval),
        max_pairs=steps * config.batch_size,
        output_dir=str(folder / "ours"),
        max_steps=steps,
        batch_size=config.batch_size,
        max_length=config.max_length,
        learning_rate=config.learning_rate,
        train_embeddings=config.train_embeddings,
        teacher_cache=str(folder / "cache"),
        seed=config.seed,
    )


def _student(config: ThroughputBenchmark) -> Any:
    student: Any = load_encoder(config.student, device="cpu")
    student.max_seq_length = min(student.max_seq_length or config.max_length, config.max_length)
    set_dropout(student, 0.0)
    return student


def _note_lengths(student: Any) -> list[int]:
    """Token positions, padding included, of every batch that the student will read in training."""
    found: list[int] = []

    def note(module: Any, inputs: tuple[Any, ...]) -> None:
        if module.training:
            found.append(inputs[0]["input_ids"].numel())

    student.register_forward_pre_hook(note)
    return found


def _trainers(
    config: ThroughputBenchmark, recipe: TrainConfig, data: TrainingData, teacher: Any, students: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, float]]:
    """The three trainers, and the CPU seconds that each spends once, before its first epoch."""
    args = recipe.arguments()
    args.disable_tqdm = True
    args.save_strategy = SaveStrategy.NO  # as in the stock recipe here: a checkpoint at the end is paid once a run
    ours = trainer_for(recipe, args, students[OURS], teacher, data, Path(recipe.teacher_cache))
    if watch := watch_for(recipe, teacher, data, LanguageAdapters.of(students[OURS])):
        ours.add_callback(watch)
    once = {ONLINE: 0.0}
    began = time.process_time()
    fill_for(ours, ours.teacher)
    once[OURS] = time.process_time() - began
    rows = data.all_bitext()
    began = time.process_time()
    with_labels = labelled(teacher, rows, config.batch_size)
    once[LITERAL] = time.process_time() - began
    options: dict[str, Any] = {
        "per_device_train_batch_size": config.batch_size,
        "max_steps": recipe.max_steps,
        "learning_rate": config.learning_rate,
        "warmup_steps": args.warmup_steps,
        "logging_steps": args.logging_steps,
        "dataloader_pin_memory": False,
        "disable_tqdm": True,
        "seed": config.seed,
    }
    folder = Path(recipe.output_dir).parent
    stock = {
        ONLINE: online_trainer(students[ONLINE], teacher, rows, output_dir=str(folder / "online"), **options),
        LITERAL: literal_trainer(students[LITERAL], with_labels, output_dir=str(folder / "literal"), **options),
    }
    return {OURS: ours, **stock}, once


def _results(
    config: ThroughputBenchmark,
    segments: dict[str, Segments],
    once: dict[str, float],
    padded: dict[str, float],
    data: TrainingData,
) -> dict[str, Any]:
    pairs = config.steps * config.batch_size
    recipes = {
        name: {
            "pairs_per_cpu_second": _spread([pairs / seconds for seconds in found.cpu]),
            "pairs_per_second": _spread([pairs / seconds for seconds in found.wall]),
            "cpu_seconds": round(sum(found.cpu), 2),
            "cpu_seconds_once_before": round(once[name], 2),
            "token_positions_per_forward": round(padded[name], 1),
        }
        for name, found in segments.items()
    }
    ours = segments[OURS]
    ratios = {}
    for name in (ONLINE, LITERAL):
        theirs = segments[name]
        ratios[name] = {
            "by_segment": _spread([other / mine for mine, other in zip(ours.cpu, theirs.cpu, strict=True)]),
            "by_segment_wall": _spread([other / mine for mine, other in zip(ours.wall, theirs.wall, strict=True)]),
            "whole": round(sum(theirs.cpu) / sum(ours.cpu), 3),
            "first_epoch": round((sum(theirs.cpu) + once[name]) / (sum(ours.cpu) + once[OURS]), 3),
        }
    return {
        "command": " ".join(portable(argument) for argument in ["benchmarks/throughput.py", *sys.argv[1:]]),
        "machine": config.machine or f"{platform.machine()}, {os.cpu_count()} cores",
        "versions": versions(),
        "clock": "CPU time of the process, one torch thread, trainings in turns in one process",
        "threads": 1,
        "repeats": config.repeats,
        "steps_per_segment": config.steps,
        "batch_size": config.batch_size,
        "max_length": config.max_length,
        "pairs": config.repeats * pairs,
        "dtype": "float32",
        "dropout": 0.0,
        "seed": config.seed,
        "data": data.fingerprints,
        "recipes": recipes,
        "speed_ratio_ours_over": ratios,
    }


def _spread(values: list[float]) -> dict[str, float]:
    return {
        name: round(value, 3)
        for name, value in (("median", statistics.median(values)), ("min", min(values)), ("max", max(values)))
    }


def _retrieval(config: ThroughputBenchmark, teacher: Any, students: dict[str, Any]) -> list[dict[str, Any]]:
    cache, found = DocumentCache(), []
    for folder in config.eval:
        item = read_retrieval_set(folder, normalize(config.language))
        scores = {
            name: evaluate_retrieval(student.eval(), item, teacher, document_cache=cache)
            for name, student in students.items()
        }
        ndcg = {name: round(score.metrics["ndcg@10"], 4) for name, score in scores.items()}
        found.append({"set": item.name, "n": scores[OURS].n, "ndcg@10": ndcg})
    return found


def table(results: dict[str, Any]) -> str:
    lines = [f"{'':14}{'pairs per CPU second (median, min, max)':>42}{'positions':>11}"]
    for name, found in results["recipes"].items():
        speed = found["pairs_per_cpu_second"]
        spread = f"{speed['median']:.1f} ({speed['min']:.1f} to {speed['max']:.1f})"
        lines.append(f"{name:14}{spread:>42}{found['token_positions_per_forward']:11.0f}")
    for name, ratio in results["speed_ratio_ours_over"].items():
        part = ratio["by_segment"]
        lines.append(
            f"ours over {name}: {ratio['whole']:.2f} over all segments (by segment: median {part['median']:.2f}, "
            f"{part['min']:.2f} to {part['max']:.2f}); first epoch, with cache and labels: {ratio['first_epoch']:.2f}"
        )
    for entry in results["retrieval"]:
        scores = ", ".join(f"{name} {score:.3f}" for name, score in entry["ndcg@10"].items())
        lines.append(f"nDCG@10 on {entry['set']} after {results['pairs']} pairs: {scores}")
    return "\n".join(lines)


if __name__ == "__main__":
    run(main, ThroughputBenchmark)
