"""Measure a few steps of the real trainer on chosen batches: seconds, memory, tokens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PrinterCallback
from transformers.trainer_callback import ProgressCallback

from hf_optical.adapters import LanguageAdapters
from hf_optical.batching.policy import HybridPolicy
from hf_optical.batching.token_lengths import TokenLengths
from hf_optical.losses import parse_objective
from hf_optical.runs.options import TrainConfig
from hf_optical.runs.planning.batches import Chosen, FixedBatches, choose, reduced
from hf_optical.runs.planning.profiling import Clock, SavedTensors, StepTimes, watched
from hf_optical.runs.trainers import trainer_for, watch_for
from hf_optical.runs.training_data import TrainingData
from hf_optical.training.anchor_choice import chosen_anchor
from hf_optical.training.losses_by_kind import anchor_of
from hf_optical.training.progress import NamedLossProgress
from hf_optical.units import folder_bytes

_COUNTED = 2000


@dataclass
class Steps:
    """Time and memory of dry steps.

    Attributes:
        typical: Seconds of a step with a batch of mean length.
        slowest: Seconds of a step with the longest batch.
        optimizer: Seconds of the optimizer within a step.
        tokens: Average number of padded tokens in a batch.
        longest: Number of tokens of the longest text.
        peak: Peak memory, in bytes.
        after: Memory at the end, in bytes.
        activations: Bytes kept for the backward pass of the longest batch.
        preparing: Seconds in which the sampler counts the tokens of all texts.
        watching: Seconds of one reading of the monitor.
        trained: Number of trained weights.
        filling: Seconds to fill a teacher cache with all texts of the run; 0 without a cache.
        cached: Size of that cache, in bytes.
        anchor: Share of the untrained student in the target; above 0 it reads the translations too.
    """

    typical: float
    slowest: float
    optimizer: float
    tokens: float
    longest: int
    peak: float
    after: float
    activations: float
    preparing: float
    watching: float
    trained: int
    filling: float
    cached: float
    anchor: float = 0.0


def dry_steps(
    config: TrainConfig, teacher: Any, student: Any, data: TrainingData, clock: Clock, *, cache: Path | None, drawn: int
) -> Steps:
    """Run a first step, which creates the optimizer's state, then the longest and two typical batches of each set.

    Args:
        config: Options of a run that logs and saves nothing.
        teacher: The teacher.
        student: The student; it is changed.
        data: The whole training data.
        clock: Function that returns the time in seconds.
        cache: Folder of a teacher cache that is filled meanwhile; None for no cache.
        drawn: Number of rows that the whole run draws.
    """
    sets = data.sets(bitext=not data.retrieval or config.bitext_share > 0)
    grouped = config.group_by_length and not data.retrieval
    chosen = {name: choose(rows, config.batch_size, grouped=grouped, seed=config.seed) for name, rows in sets.items()}
    small = reduced(data, chosen)
    if config.anchor is None and sets and "rank" in parse_objective(str(config.objective)):
        config = replace(config, anchor=chosen_anchor(student, teacher, sets, seed=config.seed))  # of all pairs
    args = config.arguments()
    watch = watch_for(config, teacher, data, LanguageAdapters.of(student))
    trainer: Any = trainer_for(config, args, student, teacher, small, cache)
    for callback in (ProgressCallback, NamedLossProgress, PrinterCallback):
        trainer.remove_callback(callback)
    schedule, shares = _schedule(chosen), _shares(config, sets)
    trainer.args.multi_dataset_batch_sampler = FixedBatches([batch for batch, _, _ in schedule])
    trainer.args.max_steps, trainer.args.save_strategy = len(schedule), "no"
    trainer.args.disable_tqdm, trainer.args.logging_strategy = True, "no"
    times, saved = StepTimes(clock), SavedTensors(student.parameters())
    before = clock()
    trainer.add_callback(times)
    with watched(clock) as training, saved.counted():
        trainer.train()
    tokens = _tokens(trainer, small.sets(bitext=not data.retrieval or config.bitext_share > 0), chosen)
    looking = preparing = 0.0
    if watch is not None:
        watch.on_train_begin(args, trainer.state, trainer.control, model=student)
        with watched(clock) as watching:
            watch.on_log(args, trainer.state, trainer.control, logs={"loss": 0.0}, model=student)
        looking = watching.seconds
    if grouped:
        preparing = _preparing(student, data, config, clock)
    english = sum(len(rows) for name, rows in sets.items() if name.startswith("bitext/"))
    filled = sum(len(batch) for batch, name, _ in schedule if name.startswith("bitext/"))
    more = min(english, drawn) / max(1, filled)
    typical, slowest, mean_tokens, longest = _fitted(schedule, times.steps, tokens, shares)
    return Steps(
        typical=typical,
        slowest=slowest,
        optimizer=float(np.median(times.optimizer[1:])),
        tokens=mean_tokens,
        longest=longest,
        peak=training.peak,
        after=training.after,
        activations=float(saved.peak),
        preparing=preparing,
        watching=looking,
        trained=times.trained,
        filling=(times.began - before) * more if cache else 0.0,
        cached=folder_bytes(cache) * more if cache else 0.0,
        anchor=anchor_of(trainer.loss) or 0.0,
    )


def _schedule(chosen: dict[str, Chosen]) -> list[Any]:
    """List the batches with the name of their set and their number in it; the first, a typical one, is not timed."""
    schedule: list[Any] = []
    first = 0
    for name, picked in chosen.items():
        batches = picked.batches(first)
        first += len(picked.rows)
        typical = len(batches) - 1
        at = sorted({1 + typical // 4, 1 + (3 * typical) // 4}) if typical else []
        if not schedule:
            schedule.append((batches[at[0] if at else 0], name, at[0] if at else 0))
        schedule += [(batches[number], name, number) for number in (0, *at)]
    return schedule


def _shares(config: TrainConfig, sets: dict[str, Any]) -> dict[str, float]:
    """Return the share of batches from each set."""
    kinds = [name.partition("/")[0] for name in sets]
    if set(kinds) == {"bitext"}:  # sentence-transformers draws in proportion to the batches
        total = sum(len(rows) for rows in sets.values())
        return {name: len(rows) / total for name, rows in sets.items()}
    policy = HybridPolicy(**config.policy_options())
    by_kind = dict(zip(("mono", "cross", "bitext"), policy.shares(), strict=True))
    found: dict[str, float] = {}
    for kind, share in by_kind.items():
        members = [name for name in sets if name.startswith(f"{kind}/")]
        if members:
            weights = policy.weights([len(sets[name]) for name in members])
            found |= {name: float(share * weight) for name, weight in zip(members, weights, strict=True)}
    return found


def _tokens(trainer: Any, sets: dict[str, Any], chosen: dict[str, Chosen]) -> dict[tuple[str, int], tuple[int, int]]:
    """Count the padded tokens of every chosen batch on both sides, and of its longest text."""
    found = {}
    for name, picked in chosen.items():
        for number, batch in enumerate(picked.batches()):
            rows = [{**row, "dataset_name": name} for row in sets[name].select(batch)]
            features = trainer.data_collator(rows)
            shapes = [value.shape for key, value in features.items() if key.endswith("input_ids")]
            found[name, number] = (
                sum(shape[0] * shape[1] for shape in shapes if len(shape) == 2),
                max((shape[-1] for shape in shapes), default=1),
            )
    return found


def _fitted(
    schedule: list[Any], steps: list[float], tokens: dict[tuple[str, int], tuple[int, int]], shares: dict[str, float]
) -> tuple[float, float, float, int]:
    """Estimate the seconds of a mean and of the longest batch by a line through the timed steps of each set."""
    mean = slowest = mean_tokens = 0.0
    longest = 1
    for name, share in shares.items():
        timed = [
            (tokens[of, number][0], seconds)
            for (_, of, number), seconds in list(zip(schedule, steps, strict=False))[1:]
            if of == name
        ]
        fixed, each = _line(timed)
        typical = [count for (of, number), (count, _) in tokens.items() if of == name and number] or [timed[0][0]]
        mean += share * (fixed + each * float(np.mean(typical)))
        mean_tokens += share * float(np.mean(typical))
        slowest = max(slowest, *(seconds for _, seconds in timed))
        longest = max(longest, *(length for (of, _), (_, length) in tokens.items() if of == name))
    return mean, slowest, mean_tokens, longest


def _line(points: list[tuple[int, float]]) -> tuple[float, float]:
    """Fit a line with non-negative intercept and slope to points.

    Example:
        >>> _line([(100, 2.0), (200, 3.0), (300, 4.0)])
        (1.0, 0.01)
        >>> _line([(100, 2.0), (200, 4.2)])[0]
        0.0
    """
    counts, seconds = np.array(points, dtype=float).T
    if np.ptp(counts) == 0:
        return 0.0, float(seconds.mean() / counts.mean())
    slope, fixed = np.polyfit(counts, seconds, 1)
    if slope < 0:
        return float(seconds.mean()), 0.0
    if fixed < 0:
        return 0.0, float(seconds.sum() / counts.sum())
    return round(float(fixed), 9), round(float(slope), 12)


def _preparing(student: Any, data: TrainingData, config: TrainConfig, clock: Clock) -> float:
    rows = data.all_bitext()
    few = list(rows["translation"][:_COUNTED])
    with watched(clock) as counting:
        TokenLengths(student, config.max_length)(few)
    return counting.seconds * len(rows) / len(few)
