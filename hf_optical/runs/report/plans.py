"""Transport plans between words of a few pairs, before and after training, for the report of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hf_optical.encoders.models import load_encoder
from hf_optical.figures.word_plan import word_plan

_WORDS = range(4, 15)  # words of an English sentence whose plan is easy to read


def _chosen_pairs(sources: Sequence[str], translations: Sequence[str], count: int = 3) -> list[tuple[str, str]]:
    """Choose the first pairs that are short enough for a picture, or the first pairs if none is.

    Example:
        >>> _chosen_pairs(["Goat.", "The goat sleeps under the tree."], ["Mbuzi.", "Mbuzi analala chini ya mti."])
        [('The goat sleeps under the tree.', 'Mbuzi analala chini ya mti.')]
    """
    pairs = list(zip(sources, translations, strict=True))
    fitting = [pair for pair in pairs if len(pair[0].split()) in _WORDS and len(pair[1].split()) in _WORDS]
    return (fitting or pairs)[:count]


def drawn_pairs(bitext: Mapping[str, Any], sample: Any = None) -> list[tuple[str, str]]:
    """Choose the pairs to draw: the first pairs of the first language's data set, or the sample's own example."""
    language, rows = next(iter(bitext.items()))
    if sample:
        return [sample.example(language)]
    some = rows.select(range(min(200, len(rows))))
    return _chosen_pairs(some["source"], some["translation"])


def plans_of(
    student: Any, teacher: Any, pairs: Sequence[tuple[str, str]], untrained: str | Path | None = None
) -> list[dict[str, Any]]:
    """Compute word plans with titles for each pair after training, and before it if the untrained student was kept.

    Args:
        student: The trained student.
        teacher: Encoder of the English.
        pairs: English sentences and their translations.
        untrained: Folder of the student before training.
    """
    moments: list[tuple[str, Any]] = [("after training", student)]
    if untrained is not None and (Path(untrained) / "modules.json").is_file():
        moments.insert(0, ("before training", load_encoder(str(untrained))))
    return [
        {"title": f"{number}, {moment}", **word_plan(model, teacher, source, translation)}
        for number, (source, translation) in enumerate(pairs, start=1)
        for moment, model in moments
    ]
