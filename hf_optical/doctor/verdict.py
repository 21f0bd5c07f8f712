"""Verdict of the doctor as numbers, a table and sentences."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from hf_optical.data.languages import language_name
from hf_optical.doctor.kinds import KINDS

__all__ = ["Example", "Histogram", "Verdict"]

_CLEAN, _FAIR = 0.01, 0.1


@dataclass(frozen=True)
class Example:
    """A row with a defect: its number, its texts (cut), and what was found."""

    row: int
    source: str
    translation: str
    detail: str


@dataclass(frozen=True)
class Histogram:
    """Counts between edges, one more edge than counts; ``other`` is drawn behind for comparison."""

    title: str
    edges: list[float]
    counts: list[int]
    other: list[int] = field(default_factory=list)
    other_name: str = ""

    @classmethod
    def of(
        cls,
        title: str,
        values: np.ndarray,
        edges: np.ndarray | None = None,
        other: np.ndarray | None = None,
        other_name: str = "",
    ) -> Histogram:
        """Count values in 40 bins or between edges; others are scaled to the same number of values.

        Example:
            >>> Histogram.of("t", np.array([1, 1, 3]), np.array([0, 2, 4]), np.array([3])).other
            [0, 3]
        """
        counts, edges = np.histogram(values, bins=40 if edges is None else edges)
        behind: list[int] = []
        if other is not None and len(other):
            shape = np.histogram(other, bins=edges)[0]
            behind = np.round(shape * (len(values) / len(other))).astype(int).tolist()
        return cls(title, edges.tolist(), counts.tolist(), behind, other_name)


@dataclass
class Verdict:
    """The doctor's findings on one bitext.

    Attributes:
        name: File or data set.
        rows: Rows read, unreadable ones included.
        language: FLORES code of the translations, or None.
        counts: Rows with each kind of defect; a row may have several.
        dropped: Rows that cleaning leaves out.
        reasons: Dropped rows by their most severe kind.
        notes: What was learnt or assumed.
        skipped: Checks that were not made, and why.
        doubts: What should make one look at the file before training on it, each with its figure.
        examples: Up to a few rows of each kind.
        histograms: For the page.
        bytes_per_row: Memory that the doctor keeps for each row.
        seconds: Time taken.
    """

    name: str
    rows: int = 0
    language: str | None = None
    counts: dict[str, int] = field(default_factory=dict)
    dropped: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    doubts: list[str] = field(default_factory=list)
    examples: dict[str, list[Example]] = field(default_factory=dict)
    histograms: list[Histogram] = field(default_factory=list)
    bytes_per_row: float = 0.0
    seconds: float = 0.0

    @property
    def level(self) -> str:
        """``"clean"`` (below 1 % to drop), ``"fair"`` (below 10 %) or ``"dirty"``.

        A pair that is in the evaluation set makes it ``"dirty"`` whatever the share, and nothing doubtful is clean.
        """
        share = self.dropped / self.rows if self.rows else 1.0
        if share >= _FAIR or self.counts.get("eval_exact"):
            return "dirty"
        return "fair" if share >= _CLEAN or self.doubts else "clean"

    def text(self) -> str:
        """The verdict in plain words."""
        language = f" ({language_name(self.language)})" if self.language else ""
        share = self.dropped / self.rows if self.rows else 0.0
        lines = [
            f"{self.name}{language}: {self.level}. {self.rows} rows, {self.dropped} ({share:.1%}) better left out."
        ]
        lines += [f"Warning: {doubt}" for doubt in self.doubts]
        worst = sorted(self.reasons.items(), key=lambda item: -item[1])[:3]
        if worst:
            meanings = {kind.name: kind.meaning for kind in KINDS}
            lines.append("Mostly: " + "; ".join(f"{meanings[name]} ({count} rows)" for name, count in worst) + ".")
        overlap = self.counts.get("eval_exact", 0) + self.counts.get("eval_near", 0)
        if overlap:
            lines.append(f"{overlap} rows overlap with the evaluation set: scores on it would say too much.")
        lines += [f"Not checked: {name} ({why})." for name, why in self.skipped.items()]
        return "\n".join([*lines, *self.notes])

    def table(self) -> str:
        """Counts by kind, as text."""
        lines = [f"{'kind':<16}{'rows':>8}{'share':>9}  {'dropped':>8}  meaning"]
        for kind in KINDS:
            count = self.counts.get(kind.name)
            shown = "-" if count is None else str(count)
            share = "" if count is None or not self.rows else f"{count / self.rows:.2%}"
            lines.append(f"{kind.name:<16}{shown:>8}{share:>9}  {self.reasons.get(kind.name, 0):>8}  {kind.meaning}")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the texts, for ``results.json``."""
        content = asdict(self)
        del content["examples"], content["histograms"]
        return {**content, "level": self.level}
