"""Reader of pairs of texts from files, Hub datasets or rows in memory, for bitext and lexicons."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from hf_optical.data.columns import Columns
from hf_optical.data.languages import normalize
from hf_optical.data.pair_columns import with_columns
from hf_optical.data.pair_storage import Pair
from hf_optical.data.sources import PairSource, records_of, single_sources
from hf_optical.data.swapped import LOOKED_AT, swapped
from hf_optical.data.tables import Fault
from hf_optical.data.texts import one_form, text_fault
from hf_optical.errors import InputError

__all__ = [
    "BadRow",
    "OnBadRows",
    "PairReport",
    "pair_fault",
    "pairs_of",
]

logger = logging.getLogger(__name__)

OnBadRows = Literal["error", "skip"]


@dataclass(frozen=True)
class BadRow:
    """Row that was skipped.

    Attributes:
        path: Name of the source.
        row: Number of the row.
        field: The column with the problem, or ``None`` for the whole row.
        problem: The problem and what was found.
    """

    path: str
    row: int
    field: str | None
    problem: str


@dataclass
class PairReport:
    """Report on reading tables of pairs, which sums up over all that are read with it.

    Attributes:
        kept: Number of pairs that were read.
        duplicates: Number of pairs that occurred before with exactly the same characters.
        copies: Number of pairs whose translation equals the English text, except for case and outer space.
        bad_rows: The rows that were skipped (``on_bad_rows="skip"``).
        messages: Messages on guesses and counts, as logged.
    """

    kept: int = 0
    duplicates: int = 0
    copies: int = 0
    bad_rows: list[BadRow] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    @property
    def skipped(self) -> int:
        """Number of rows that were skipped."""
        return len(self.bad_rows)

    def counts(self) -> Counter[str]:
        """Return all counts by name. The difference of two results is what was read in between."""
        return Counter(kept=self.kept, duplicates=self.duplicates, copies=self.copies, skipped=self.skipped)

    def note(self, message: str) -> None:
        """Log a message and add it to ``messages``."""
        logger.info(message)
        self.messages.append(message)

    def write(self, path: str | Path) -> None:
        """Write the skipped rows into a TSV file with the columns path, row, field and problem."""
        lines = [f"{bad.path}\t{bad.row}\t{bad.field or ''}\t{bad.problem}" for bad in self.bad_rows]
        text = "\n".join(["path\trow\tfield\tproblem", *lines]) + "\n"
        Path(path).write_text(text, encoding="utf-8", errors="backslashreplace")


def pairs_of(
    source: PairSource,
    *,
    source_field: str | None,
    translation_field: str | None,
    language: str | None,
    split: str | None,
    on_bad_rows: OnBadRows,
    report: PairReport,
    sentences: bool = False,
) -> Iterator[Pair]:
    """Check the pairs of a source and yield them in Unicode's normal form NFC.

    The arguments are those of :func:`hf_optical.data.bitext.read_bitext`, and ``sentences``: whether the pairs are
    sentences. Then an error is raised if the columns were guessed and English is in that of the translation.
    """
    if on_bad_rows not in ("error", "skip"):
        raise InputError(f"on_bad_rows is {on_bad_rows!r}", "use 'error' or 'skip'")
    wanted = normalize(language) if language else None
    for one in single_sources(source, language=wanted, split=split):
        fields = (source_field, translation_field)
        yield from _pairs_of_one(one, fields, wanted, split, on_bad_rows, report, sentences)


def _pairs_of_one(
    source: PairSource,
    fields: tuple[str | None, str | None],
    language: str | None,
    split: str | None,
    on_bad_rows: OnBadRows,
    report: PairReport,
    sentences: bool,
) -> Iterator[Pair]:
    name, records = records_of(source, split)
    records, columns = with_columns(records, name, *fields, language)
    if columns.guessed:
        report.note(f"{name}: {columns.said()}")
    kept, head = 0, list[Pair]()
    most = LOOKED_AT if sentences and columns.guessed else 0
    for number, row in records.rows:
        fault = row if isinstance(row, Fault) else pair_fault(row, columns)
        if fault is None and not isinstance(row, Fault):
            kept += 1
            pair = one_form(row[columns.source]), one_form(row[columns.translation])
            if len(head) < most:
                head.append(pair)
                if len(head) == most:
                    _refuse_swapped(head, name, columns)
            yield pair
        elif fault is not None:
            _reject(fault, name, number, on_bad_rows, report)
    if not kept:
        raise InputError("no row is left", "give a file with at least one sound row", path=name)
    if len(head) < most:
        _refuse_swapped(head, name, columns)


def _refuse_swapped(pairs: list[Pair], name: str, columns: Columns) -> None:
    """Raise an error if the column that was taken for the translation holds English."""
    if found := swapped(pairs, columns.source, columns.translation):
        raise InputError(*found, path=name, field=columns.translation)


def _reject(fault: Fault, name: str, number: int, on_bad_rows: OnBadRows, report: PairReport) -> None:
    """Raise an error for a bad row, or add it to the report."""
    if on_bad_rows == "error":
        raise InputError(
            fault.problem,
            "correct or remove the row, or leave such rows out with --on_bad_rows skip (on_bad_rows='skip')",
            path=name,
            row=number,
            field=fault.field,
        )
    report.bad_rows.append(BadRow(name, number, fault.field, fault.problem))


def pair_fault(row: Mapping[str, Any], columns: Columns) -> Fault | None:
    """Return the fault of a row whose two columns are not both texts."""
    for name in (columns.source, columns.translation):
        problem = text_fault(row[name]) if name in row else f"the field is missing (found {', '.join(row) or 'none'})"
        if problem is not None:
            return Fault(problem, name)
    return None
