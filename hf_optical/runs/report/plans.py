"""Plans by words of some pairs, before and after a training, for the page of the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hf_optical.encoders.models import load_encoder
from hf_optical.figures.word_plan import word_plan

_WORDS = range(4, 15)  # of an English sentence whose plan is seen at a glance


def chosen_pairs(sources: Sequence[str], translations: Sequence[str], count: int = 3) -> list[tuple[str, str]]:
    """The first pairs of a length that a picture takes; of all lengths where there are none.

    Example:
        >>> chosen_pairs(["Goat.", "The goat sleeps under the tree."], ["Mbuzi.", "Mbuzi analala chini ya mti."])
        [('The goat sleeps under the tree.', 'Mbuzi analala chini ya mti.')]
    """
    pairs = list(zip(sources, translations, strict=True))
    fitting = [pair for pair in pairs if len(pair[0].split()) in _WORDS and len(pair[1].split()) in _WORDS]
    return (fitting or pairs)[:count]


def drawn_pairs(bitext: Mapping[str, Any], sample: Any = None) -> list[tuple[str, str]]:
    """Pairs to draw: of the first language's data set, from its beginning; or the sample's own example."""
    language, rows = next(iter(bitext.items()))
    if sample:
        return [sample.example(language)]
    some = rows.select(range(min(200, len(rows))))
    return chosen_pairs(some["source"], some["translation"])


def plans_of(
    student: Any, teacher: Any, pairs: Sequence[tuple[str, str]], untrained: str | Path | None = None
) -> list[dict[str, Any]]:
    """Word plans with titles: of each pair before the training, where the untrained student is there, and after.

    Args:
        student: The trained student.
        teacher: Reads the English.
        pairs: English sentences and their translations.
        untrained: Folder of the student as it was before.
    """
    moments: list[tuple[str, Any]] = [("after training", student)]
    if untrained is not None and (Path(untrained) / "modules.json").is_file():
        moments.insert(0, ("before training", load_encoder(str(untrained))))
    return [
        {"title": f"{number}, {moment}", **word_plan(model, teacher, source, translation)}
        for number, (source, translation) in enumerate(pairs, start=1)
        for moment, model in moments
    ]
