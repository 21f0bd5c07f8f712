"""Transport plans of a run's student before and after training, kept as numbers when its models are not."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hf_optical.comparison.matrix import Cell
from hf_optical.results import write_json

PLAN_FILE = "plans.json"
_FEWEST_WORDS, _MOST_WORDS = 5, 9


def example_pairs(cell: Cell, count: int = 1) -> list[tuple[str, str]]:
    """The first sentence pairs of a run's bitext that make a readable picture: five to nine words on both sides."""
    from hf_optical.data.bitext import read_bitext

    bitext = cell.options.get("bitext")
    rows = read_bitext(
        str(bitext[0] if isinstance(bitext, (list, tuple)) else bitext),
        source_field=cell.options.get("source_field"),
        translation_field=cell.options.get("translation_field"),
        language=cell.language,
    )
    found: list[tuple[str, str]] = []
    for row in rows:
        pair = str(row["source"]), str(row["translation"])
        if all(_FEWEST_WORDS <= len(text.split()) <= _MOST_WORDS for text in pair):
            found.append(pair)
            if len(found) == count:
                break
    return found


def keep_plans(cell: Cell, pairs: Sequence[tuple[str, str]]) -> Path | None:
    """Write the plans of a run that saved its student; nothing where it did not.

    Args:
        cell: A finished run, its folder still with ``model`` and perhaps ``untrained``.
        pairs: English sentences and their translations.

    Returns:
        The file: for each pair ``source``, ``translation`` and word plans ``before`` and ``after``.
    """
    if not (cell.folder / "model" / "modules.json").is_file():
        return None
    from hf_optical.figures.word_plan import word_plan
    from hf_optical.models import load_encoder

    teacher = load_encoder(str(cell.options["teacher"]))
    found: list[dict[str, Any]] = [{"source": source, "translation": other} for source, other in pairs]
    for name, folder in (("before", "untrained"), ("after", "model")):
        if (cell.folder / folder / "modules.json").is_file():
            student = load_encoder(str(cell.folder / folder))
            for entry, (source, translation) in zip(found, pairs, strict=True):
                entry[name] = word_plan(student, teacher, source, translation)
    return write_json(cell.folder / PLAN_FILE, found)
