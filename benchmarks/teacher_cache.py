r"""The teacher's vectors from a cache and from the teacher: losses, gradients, time of a step, size.

    python benchmarks/teacher_cache.py --teacher sentence-transformers/all-MiniLM-L6-v2 --bitext FILE \
        --output benchmarks/results/teacher_cache.json

The student is grown from the teacher. Batches are of similar length. A step is collating, both sides' vectors, loss,
backward and optimizer. The arms take turns; times are processor time of the one thread that works. With
``--eval FOLDER`` the recipe trains 40 steps with and without a cache, and the scores in ``results.json`` are compared.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch
from datasets import Dataset
from timing import circumstances, interleaved, milliseconds, ratios

from hf_optical.batching import LengthGroupedBatchSampler
from hf_optical.batching.collation import OTDistillationDataCollator
from hf_optical.configuration.parsing import run
from hf_optical.data.bitext import read_bitext
from hf_optical.encoders.models import load_encoder, set_dropout
from hf_optical.losses import OTDistillationLoss
from hf_optical.results.files import write_json
from hf_optical.runs.options import TrainConfig
from hf_optical.runs.training_run import run_training
from hf_optical.students import starting_student
from hf_optical.teacher_cache import CachedTeacher

DTYPES = ("float32", "float16", "int8")
ONLINE = "online"


@dataclass
class TeacherCacheBenchmark:
    """Options."""

    teacher: str = field(default="", metadata={"help": "English retriever: Hub id or folder.", "path": True})
    bitext: str = field(default="", metadata={"help": "Sentence pairs.", "path": True})
    language: str = field(default="swh_Latn", metadata={"help": "Of the translations."})
    eval: str | None = field(
        default=None, metadata={"help": "Retrieval set: also train 40 steps with and without.", "path": True}
    )
    pairs: int = field(default=1600, metadata={"help": "Pairs that are used, drawn with the seed."})
    batch_size: int = field(default=32, metadata={"help": "Pairs per step."})
    max_length: int = field(default=64, metadata={"help": "Tokens per text."})
    batches: int = field(default=4, metadata={"help": "Steps of a turn."})
    repeats: int = field(default=5, metadata={"help": "Turns of each arm."})
    objective: str = field(default="ot+nce", metadata={"help": "Of the steps."})
    seed: int = field(default=0, metadata={"help": "Of what is drawn."})
    output: str | None = field(default=None, metadata={"help": "Write the figures into this JSON file.", "path": True})


def main(config: TeacherCacheBenchmark) -> None:
    """Fill, compare, time, say and write."""
    torch.set_num_threads(1)
    rows = read_bitext(config.bitext, language=config.language).shuffle(seed=config.seed)
    rows = rows.select(range(min(config.pairs, len(rows))))
    teacher: Any = load_encoder(config.teacher, device="cpu")
    student: Any = starting_student("extend", teacher, rows, row_init="surface", vocab_size=35_000, seed=config.seed)
    set_dropout(student, 0.0)
    with TemporaryDirectory() as folder:
        place = Path(folder)
        caches = {
            name: CachedTeacher.for_teacher(teacher, place / name, max_length=config.max_length, dtype=name)
            for name in DTYPES
        }
        filled = {name: _seconds(lambda cache=cache: cache.fill(rows["source"])) for name, cache in caches.items()}
        alone = {name: CachedTeacher(place / name) for name in DTYPES}  # without the teacher's weights
        batches = _batches(rows, config)
        results: dict[str, Any] = {
            **circumstances(),
            "pairs": len(rows),
            "caches": {name: _size(cache, filled[name]) for name, cache in alone.items()},
            "equality": {name: _equality(student, teacher, cache, batches, config) for name, cache in alone.items()},
            "times": _times(
                student, {ONLINE: teacher, "float16": alone["float16"], "int8": alone["int8"]}, batches, config
            ),
        }
        results["first_epoch"] = _first_epoch(results, rows, config)
        _say(results, config)
        if config.eval:
            results["recipe_40_steps"] = _recipe_runs(config, place)
            _say(results, config)


def _say(results: dict[str, Any], config: TeacherCacheBenchmark) -> None:
    print(json.dumps(results, indent=1))
    if config.output:
        write_json(Path(config.output), results)


def _seconds(work: Callable[[], Any]) -> float:
    started = time.thread_time()
    work()
    return time.thread_time() - started


def _batches(rows: Dataset, config: TeacherCacheBenchmark) -> list[list[dict[str, str]]]:
    sampler = LengthGroupedBatchSampler(rows, config.batch_size, True, seed=config.seed)
    return [[rows[number] for number in batch] for batch, _ in zip(sampler, range(config.batches), strict=False)]


def _size(cache: CachedTeacher, seconds: float) -> dict[str, Any]:
    manifest = cache.manifest
    return {
        "texts": manifest.texts,
        "tokens": manifest.tokens,
        "tokens_per_text": manifest.tokens / manifest.texts,
        "bytes": manifest.bytes,
        "bytes_per_token": manifest.bytes / manifest.tokens,
        "smallest_cosine": manifest.cosine,
        "smallest_cosine_of_sentences": _sentences(cache),
        "cpu_seconds_to_fill": seconds,
    }


def _sentences(cache: CachedTeacher) -> float:
    """Cosine of the kept sentence vectors with those of the float32 cache beside it."""
    other = CachedTeacher(cache.folder.parent / "float32")
    rows = torch.arange(min(256, len(cache.reader)))
    mine, right = (one.reader.view(rows).sentence for one in (cache, other))
    return float(torch.cosine_similarity(mine.double(), right.double()).min())


def _step(student: Any, loss: Any, collator: Any, batch: list[dict[str, str]]) -> tuple[dict[str, float], torch.Tensor]:
    student.zero_grad()
    terms = loss(_features(collator(batch)))
    torch.stack(list(terms.values())).sum().backward()
    gradient = torch.cat([p.grad.flatten() for p in student.parameters() if p.grad is not None])
    return {name: float(value.detach()) for name, value in terms.items()}, gradient


def _features(batch: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {key[len(name) + 1 :]: value for key, value in batch.items() if key.startswith(f"{name}_")}
        for name in ("source", "translation")
    ]


def _equality(student: Any, teacher: Any, cache: Any, batches: Any, config: TeacherCacheBenchmark) -> dict[str, float]:
    """Largest differences over the batches, against the teacher itself."""
    sides = [
        (OTDistillationLoss(student, one, objective=f"{config.objective}+mse+cos"), _collator(student, one, config))
        for one in (teacher, cache)
    ]
    worst = {"loss_relative": 0.0, "gradient_relative": 0.0, "gradient_cosine": 1.0}
    for batch in batches:
        (right, gradient), (found, other) = (_step(student, loss, collator, batch) for loss, collator in sides)
        relative = max(abs(found[name] - right[name]) / max(abs(right[name]), 1e-8) for name in right)
        distance = float((other - gradient).double().norm() / gradient.double().norm())
        cosine = float(torch.cosine_similarity(other.double(), gradient.double(), dim=0))
        worst["loss_relative"] = max(worst["loss_relative"], relative)
        worst["gradient_relative"] = max(worst["gradient_relative"], distance)
        worst["gradient_cosine"] = min(worst["gradient_cosine"], cosine)
    return worst


def _collator(student: Any, teacher: Any, config: TeacherCacheBenchmark) -> OTDistillationDataCollator:
    return OTDistillationDataCollator.for_models(student, teacher, max_length=config.max_length)


def _times(student: Any, arms: dict[str, Any], batches: Any, config: TeacherCacheBenchmark) -> dict[str, Any]:
    """Seconds of a turn per arm, in turns, and their ratios to the teacher's own."""
    optimizer = torch.optim.AdamW(student.parameters(), lr=0.0, fused=True)
    parts = {
        name: (OTDistillationLoss(student, one, objective=config.objective), _collator(student, one, config))
        for name, one in arms.items()
    }

    def turn(name: str) -> None:
        for batch in batches:
            _step(student, *parts[name], batch)
            optimizer.step()

    times = interleaved({name: partial(turn, name) for name in arms}, config.repeats)
    return {
        "steps_of_a_turn": len(batches),
        "repeats": config.repeats,
        "milliseconds_per_step": {name: milliseconds(values) / len(batches) for name, values in times.items()},
        "ratio_to_online": {name: ratios(times[name], times[ONLINE]) for name in arms if name != ONLINE},
    }


def _first_epoch(results: dict[str, Any], rows: Dataset, config: TeacherCacheBenchmark) -> dict[str, float]:
    """What the cache costs in the first epoch, and from which epoch on it has paid for itself."""
    step, steps = results["times"]["milliseconds_per_step"], len(rows) / config.batch_size
    online, cached = (step[name] / 1e3 * steps for name in (ONLINE, "float16"))
    fill, saved = results["caches"]["float16"]["cpu_seconds_to_fill"], online - cached
    return {
        "fill_over_online_epoch": fill / online,
        "first_epoch_over_online": (fill + cached) / online,
        "epochs_until_it_has_paid": fill / saved if saved > 0 else float("inf"),
    }


def _recipe_runs(config: TeacherCacheBenchmark, place: Path) -> dict[str, Any]:
    """The recipe, 40 steps of 16 pairs, with a cache and without: scores and final weights' difference."""
    found: dict[str, Any] = {}
    for name, cache in ((ONLINE, "none"), ("float16", str(place / "recipe")), ("int8", str(place / "recipe8"))):
        options = TrainConfig(
            teacher=config.teacher,
            language=config.language,
            bitext=[config.bitext],
            eval=[str(config.eval)],
            row_init="surface",
            vocab_size=35_000,
            max_pairs=400,
            max_steps=40,
            batch_size=16,
            max_length=config.max_length,
            measure_start=False,
            check_data=False,
            monitor="off",
            output_dir=str(place / f"run_{name}"),
            shared=str(place / "shared"),
            teacher_cache=cache,
            teacher_cache_dtype=name if name != ONLINE else "float16",
            seed=config.seed,
        )
        run_training(options)
        results = json.loads((Path(options.output_dir) / "results.json").read_text(encoding="utf-8"))
        (entry,) = results["evaluations"]
        losses = [log["loss"] for log in results["history"] if "loss" in log]
        found[name] = {"after": entry["after"], "losses": losses}
    for name in ("float16", "int8"):
        mine, right = found[name], found[ONLINE]
        found[name]["largest_difference_of_a_score"] = max(
            abs(mine["after"][key] - right["after"][key]) for key in right["after"]
        )
        found[name]["largest_relative_difference_of_a_loss"] = max(
            abs(a - b) / abs(b) for a, b in zip(mine["losses"], right["losses"], strict=True)
        )
    return found


if __name__ == "__main__":
    run(main, TeacherCacheBenchmark)
