"""Offset layer of a run's student, optionally chosen on held-out pairs."""

from __future__ import annotations

from typing import Any

import numpy as np

from hf_optical.encoders.encoding import encode_texts
from hf_optical.errors import InputError
from hf_optical.runs.held_out import HeldOutRun
from hf_optical.runs.options import TrainConfig
from hf_optical.runs.training_data import TrainingData
from hf_optical.students.offset import OFFSETS, Offset, offset_of, with_offset

AUTO = "auto"
CHOICES = (*OFFSETS, AUTO)
_PAIRS = 1_000  # pairs of all languages from which an offset is estimated


def check_offset(config: TrainConfig) -> None:
    """Check, before anything is read, whether an offset can be subtracted.

    Raises:
        InputError: The choice is unknown, ``auto`` has no held-out pairs, there are language adapters, or the student
            encodes documents too.
    """
    if config.offset not in CHOICES:
        raise InputError(f"is {config.offset!r}", f"use one of {', '.join(CHOICES)}", field="offset")
    if config.offset == "none":
        return
    if config.adapter != "none" or config.reads_index_of == "student":
        problem = (
            "language adapters share one last layer"
            if config.adapter != "none"
            else ("the offset would move the documents too")
        )
        raise InputError(f"is {config.offset!r}, but {problem}", "set it to none", field="offset")
    if config.offset == AUTO and not config.share_held_out:
        raise InputError(
            "is 'auto', but no pairs are held out",
            "set held_out above 0, or set offset to query, residual or none",
            field="offset",
        )


def student_with_offset(
    config: TrainConfig, student: Any, teacher: Any, data: TrainingData, held_out: HeldOutRun | None
) -> tuple[Any, dict[str, Any] | None]:
    """Add the offset layer that the options ask for, and report what was chosen.

    Args:
        config: The options of the run.
        student: The trained student.
        teacher: Encoder of the English.
        data: The offset is estimated on up to 1,000 of its pairs.
        held_out: Held-out pairs by whose score ``auto`` chooses; without a higher score the student stays unchanged.

    Returns:
        The student, unchanged for ``none``; and for the results the chosen kind and the held-out scores of ``auto``.
    """
    if config.offset == "none":
        return student, None
    each = max(1, _PAIRS // len(data.bitext))
    drawn = [rows.shuffle(seed=config.seed).select(range(min(each, len(rows)))) for rows in data.bitext.values()]
    queries, english = (
        np.concatenate([np.asarray(encode_texts(model, rows[column][:], "query")) for rows in drawn])
        for model, column in ((student, "translation"), (teacher, "source"))
    )
    queries, english = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (queries, english))

    def moved(kind: Offset) -> Any:
        return student if kind == "none" else with_offset(student, offset_of(kind, queries, english))

    found: dict[str, Any] = {"asked": config.offset, "mean_query": round(float(np.linalg.norm(queries.mean(0))), 4)}
    if config.offset != AUTO:
        kind: Any = config.offset
    else:
        assert held_out is not None  # the options were checked before
        scores = {name: held_out.index.score(moved(name)).value for name in OFFSETS}
        kind = max(OFFSETS, key=lambda name: scores[name])
        found["held_out"] = {name: round(value, 4) for name, value in scores.items()}
    return moved(kind), {**found, "taken": kind}
