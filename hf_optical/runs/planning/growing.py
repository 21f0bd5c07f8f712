"""Estimate of the time to grow a student and of its vocabulary size, from two samples of the pairs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hf_optical.encoders.models import load_encoder
from hf_optical.encoders.parts import embeddings_of, transformer_of
from hf_optical.runs.options import TrainConfig
from hf_optical.runs.planning.profiling import Clock, Stretch, watched
from hf_optical.runs.student import student_of_run
from hf_optical.runs.training_data import TrainingData
from hf_optical.students.grow import VOCABULARIES
from hf_optical.training.lexical_stage import inject_lexicon

_GROWN_ON = (750, 3000)  # pairs
_INJECTED = (1, 3)  # steps


@dataclass
class Growth:
    """A student grown on samples, and the estimated cost of growing it on all pairs.

    Attributes:
        student: The student with as many table rows as it would have; the content of the new rows is meaningless.
        seconds: Seconds to grow and save it.
        injecting: Seconds of the lexical injection.
        peak: Peak memory meanwhile, in bytes.
    """

    student: Any
    seconds: float
    injecting: float
    peak: float


def grown(
    config: TrainConfig,
    teacher: Any,
    data: TrainingData,
    panels: Any,
    state: Any,
    clock: Clock,
    *,
    lexical_steps: int,
) -> Growth:
    """Grow the student on two samples of the pairs and extrapolate the cost linearly to all pairs.

    Args:
        config: Options of a run that measures nothing at its start.
        teacher: The teacher.
        data: The whole training data.
        panels: Evaluation tables, which such a run does not use.
        state: This process.
        clock: Function that returns the time in seconds.
        lexical_steps: Steps of the lexical injection.
    """
    sizes = [data.pairs]
    if config.student in VOCABULARIES and config.student != "copy" and data.pairs > _GROWN_ON[1]:
        sizes = list(_GROWN_ON)
    taken: list[tuple[int, Stretch, int]] = []
    student: Any = None
    for number, size in enumerate(sizes):
        share = size / data.pairs
        bitext = {code: _few(rows, share, config.seed) for code, rows in data.bitext.items()}
        small = replace(data, bitext=bitext, lexicon=None)
        own = replace(config, output_dir=str(Path(config.output_dir) / f"grown-{number}"))
        with watched(clock) as growing:
            student, _ = student_of_run(own, teacher, small, state, panels)
        taken.append((size, growing, rows_of(student)))
    whole, peak = taken[-1][1].seconds, taken[-1][1].peak
    injecting = _injecting(config, teacher, data, own.output_dir, clock, lexical_steps)
    if len(taken) == 2:
        (few, first, few_rows), (many, second, many_rows) = taken
        scale = (data.pairs - many) / (many - few)
        whole += max(0.0, second.seconds - first.seconds) * scale
        peak += max(0.0, second.peak - first.peak) * scale
        base = rows_of(teacher) if config.student == "extend" else 0
        _lengthen(student, expected_rows(base, (few, few_rows), (many, many_rows), data.pairs, config.vocab_size or 0))
    return Growth(student, whole, injecting, peak)


def _injecting(config: TrainConfig, teacher: Any, data: TrainingData, folder: str, clock: Clock, steps: int) -> float:
    if data.lexicon is None or not steps:
        return 0.0
    taken = []
    for few in _INJECTED:
        fresh = load_encoder(str(Path(folder) / "untrained"))
        with watched(clock) as injecting:
            inject_lexicon(fresh, data.lexicon, teacher=teacher, layer=config.lexical_layer, steps=few)
        taken.append(injecting.seconds)
    each = max(0.0, taken[1] - taken[0]) / (_INJECTED[1] - _INJECTED[0])
    return taken[1] + each * (steps - _INJECTED[1])


def _few(rows: Any, share: float, seed: int) -> Any:
    if share >= 1:
        return rows
    return rows.shuffle(seed=seed).select(range(max(1, round(share * len(rows)))))


def rows_of(model: Any) -> int:
    """Return the number of rows of a model's embedding table."""
    return int(embeddings_of(transformer_of(model).model).num_embeddings)


def expected_rows(base: int, few: tuple[int, int], many: tuple[int, int], pairs: int, most: int) -> int:
    """Estimate the vocabulary learnt from all pairs by Heaps' law through two samples, up to the size asked for.

    Example:
        >>> expected_rows(0, (100, 1000), (400, 2000), 1600, 10_000)
        4000
    """
    new = [max(1, rows - base) for _, rows in (few, many)]
    power = math.log(max(1.0, new[1] / new[0])) / math.log(many[0] / few[0])
    return max(many[1], min(most, base + round(new[1] * (pairs / many[0]) ** power)))


def _lengthen(student: Any, rows: int) -> None:
    """Extend the table to the number of rows of the whole data, on which the optimizer's cost depends."""
    model = transformer_of(student).model
    table = embeddings_of(model)
    if rows <= table.num_embeddings:
        return
    trained = table.weight.requires_grad
    model.resize_token_embeddings(rows, mean_resizing=False)
    embeddings_of(model).weight.requires_grad_(trained)
