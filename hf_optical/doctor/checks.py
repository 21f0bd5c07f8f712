"""Settings of an examination: the checks and their thresholds."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Checks:
    """Checks to run and their thresholds.

    Attributes:
        max_words: Number of words of a side above which a row is overlong. Default 200.
        length_limit: Distance of a length ratio from the usual one, in robust standard deviations, above which it is an
            outlier. Default 4.
        near: Whether to look for near-duplicates. Default true.
        misaligned: Whether to look for misaligned pairs with a lexicon learnt from the file. Default true.
        misaligned_above: Probability of being a random pair from which a row is misaligned. Default 0.5.
        drop: Names of the kinds of defects that cleaning drops, or ``["all"]`` or ``["none"]``. If empty, the default
            kinds are dropped.
        progress: Whether to show a progress bar. Default false.
    """

    max_words: int = 200
    length_limit: float = 4.0
    near: bool = True
    misaligned: bool = True
    misaligned_above: float = 0.5
    drop: list[str] = field(default_factory=list)
    progress: bool = False
