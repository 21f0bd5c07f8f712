"""Checks of an examination and their thresholds."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Checks:
    """Checks to run, and their thresholds.

    Attributes:
        max_words: Words of a side above which a row is overlong.
        length_limit: Robust standard deviations from which a length ratio is an outlier.
        near: Look for near-duplicates.
        misaligned: Look for misaligned pairs with a lexicon learnt from the file.
        misaligned_above: Probability of being a random pair from which a row is misaligned.
        drop: Kinds that cleaning drops: none for the default choice, ``["all"]``, ``["none"]``, or names.
        progress: Show a progress bar.
    """

    max_words: int = 200
    length_limit: float = 4.0
    near: bool = True
    misaligned: bool = True
    misaligned_above: float = 0.5
    drop: list[str] = field(default_factory=list)
    progress: bool = False
