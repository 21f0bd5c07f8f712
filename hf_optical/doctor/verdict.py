"""The doctor's verdict as numbers, a table and sentences."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from hf_optical.data.languages import language_name
from hf_optical.doctor.kinds import KINDS

__all__ = ["Example", "Histogram", "Verdict"]

_CLEAN, _FAIR = 0.01, 0.1  # shares of rows to drop from which a file is not clean, and not fair


@dataclass(frozen=True)
class Example:
    """Example of a row with a defect.

    Attributes:
        row: Row number in the file.
        source: Beginning of the English text.
        translation: Beginning of the translation.
        detail: Description of what was found.
    """

    row: int
    source: str
    translation: str
    detail: str


@dataclass(frozen=True)
class Histogram:
    """Histogram with a second one for comparison.

    Attributes:
        title: Title of the chart.
        edges: Edges of the n bins, n + 1 numbers.
        counts: Number of values in each bin.
        other: Counts of the values for comparison; empty if there are none.
        other_name: Name of the values for comparison.
    """

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
        """Build a histogram of values.

        Args:
            title: Title of the chart.
            values: The values, ``(n,)``.
            edges: Edges of the bins; 40 bins of equal width by default.
            other: Values for comparison, whose counts are scaled to the same total.
            other_name: Name of the values for comparison.

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
        name: Name of the file or data set.
        rows: Number of rows, unreadable ones included.
        language: FLORES code of the translations, or ``None``.
        counts: Number of rows with each kind of defect; a row may have several.
        dropped: Number of rows that cleaning drops.
        reasons: Number of dropped rows by their most severe kind.
        notes: Sentences on what was learnt or assumed.
        skipped: Checks that were not made, with the reason.
        doubts: Warnings because of which the file should be inspected before training, with figures.
        examples: Up to five rows of each kind.
        histograms: Histograms for the page.
        bytes_per_row: Memory that the examination keeps for each row, in bytes.
        seconds: Duration of the examination, in seconds.
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
        """Level of the file: ``"clean"`` (below 1 % of rows to drop), ``"fair"`` (below 10 %) or ``"dirty"``.

        A file with a text of the evaluation set is always ``"dirty"``, and a file with doubts is at best ``"fair"``.
        """
        share = self.dropped / self.rows if self.rows else 1.0
        if share >= _FAIR or self.counts.get("eval_exact"):
            return "dirty"
        return "fair" if share >= _CLEAN or self.doubts else "clean"

    def text(self) -> str:
        """Describe the verdict in sentences."""
        language = f" ({language_name(self.language)})" if self.language else ""
        share = self.dropped / self.rows if self.rows else 0.0
        lines = [
            f"{self.name}{language}: {self.level}. {self.rows} rows, {self.dropped} ({share:.1%}) better left out."
        ]
        lines += [f"Warning: {doubt}" for doubt in self.doubts]
        worst = sorted(self.reasons.items(), key=lambda item: -item[1])[:3]
        if worst:
            meanings = {kind.name: kind.meaning for kind in KINDS}
            reasons = "; ".join(f"{meanings[name]} ({count} rows)" for name, count in worst)
            lines.append(f"The main reasons: {reasons}.")
        overlap = self.counts.get("eval_exact", 0) + self.counts.get("eval_near", 0)
        if overlap:
            lines.append(f"{overlap} rows overlap with the evaluation set, so that scores on it would be too high.")
        # Rows of a shifted part are counted as misaligned, although the other rows were not looked at for it.
        for name, why in self.skipped.items():
            where = " outside the shifted rows" if name == "misaligned" and self.counts.get(name) else ""
            lines.append(f"Not checked{where}: {name} ({why}).")
        return "\n".join([*lines, *self.notes])

    def table(self) -> str:
        """Format the counts of all kinds as a text table."""
        lines = [f"{'kind':<16}{'rows':>8}{'share':>9}  {'dropped':>8}  meaning"]
        for kind in KINDS:
            count = self.counts.get(kind.name)
            shown = "-" if count is None else str(count)
            share = "" if count is None or not self.rows else f"{count / self.rows:.2%}"
            lines.append(f"{kind.name:<16}{shown:>8}{share:>9}  {self.reasons.get(kind.name, 0):>8}  {kind.meaning}")
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """Return the verdict for ``results.json``, without examples and histograms."""
        content = asdict(self)
        del content["examples"], content["histograms"]
        return {**content, "level": self.level}
