"""Transport plans of a run's student before and after training, kept as numbers when its models are not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hf_optical.comparison.matrix import RunSpec
from hf_optical.encoders.models import load_encoder
from hf_optical.figures.word_plan import word_plan
from hf_optical.results.files import write_json
from hf_optical.results.table_rows import AFTER, BEFORE

PLAN_FILE = "plans.json"


def keep_plans(cell: RunSpec, pairs: Sequence[tuple[str, str]]) -> Path | None:
    """Write the plans of a run, if it saved its student.

    Args:
        cell: A finished run whose folder still holds ``model`` and possibly ``untrained``.
        pairs: English sentences and their translations.

    Returns:
        The file, with ``source``, ``translation`` and word plans ``before`` and ``after`` for each pair.
    """
    if not (cell.folder / "model" / "modules.json").is_file():
        return None
    teacher = load_encoder(str(cell.options["teacher"]))
    found: list[dict[str, Any]] = [{"source": source, "translation": other} for source, other in pairs]
    for name, folder in ((BEFORE, "untrained"), (AFTER, "model")):
        if (cell.folder / folder / "modules.json").is_file():
            student = load_encoder(str(cell.folder / folder))
            for entry, (source, translation) in zip(found, pairs, strict=True):
                entry[name] = word_plan(student, teacher, source, translation)
    return write_json(cell.folder / PLAN_FILE, found)
