"""Pairs of texts from files, Hub datasets or rows in memory: the machinery that bitext and lexicons share."""

from __future__ import annotations

import atexit
import itertools
import logging
import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

import datasets
import pyarrow as pa

from hf_optical.data.columns import Columns, choose_columns, is_header
from hf_optical.data.languages import normalize
from hf_optical.data.swapped import LOOKED_AT, swapped
from hf_optical.data.tables import FORMATS, Fault, Numbered, Records, positions, read_records, renamed
from hf_optical.data.texts import text_fault
from hf_optical.errors import InputError
from hf_optical.places import user_path

__all__ = [
    "BadRow",
    "OnBadRows",
    "Pair",
    "PairReport",
    "PairSource",
    "pairs_of",
    "records_of",
    "to_dataset",
    "with_columns",
]

logger = logging.getLogger(__name__)

OnBadRows = Literal["error", "skip"]
PairSource: TypeAlias = str | Path | Sequence[Any] | datasets.Dataset
Pair = tuple[str, str]

_SCHEMA = pa.schema([("source", pa.string()), ("translation", pa.string())])
_CHUNK = 10_000
_HUB_ID = re.compile(r"[\w.-]+(/[\w.-]+)?(:[\w.-]+)?")


@dataclass(frozen=True)
class BadRow:
    """A row that was left out on request: where it is and what was found."""

    path: str
    row: int
    field: str | None
    problem: str


@dataclass
class PairReport:
    """What reading a table of pairs found. Reading several files into one report adds up.

    Attributes:
        kept: Pairs that were read.
        duplicates: Pairs that occurred before, character for character.
        copies: Pairs whose translation equals the English text, case and outer space apart.
        bad_rows: The rows that were left out (``on_bad_rows="skip"``).
        messages: What the reader guessed or noticed, as logged.
    """

    kept: int = 0
    duplicates: int = 0
    copies: int = 0
    bad_rows: list[BadRow] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    @property
    def skipped(self) -> int:
        """How many rows were left out."""
        return len(self.bad_rows)

    def counts(self) -> Counter[str]:
        """Its figures by name; what has come since is the difference of two such counts."""
        return Counter(kept=self.kept, duplicates=self.duplicates, copies=self.copies, skipped=self.skipped)

    def note(self, message: str) -> None:
        """Log a message and keep it."""
        logger.info(message)
        self.messages.append(message)

    def write(self, path: str | Path) -> None:
        """Write the rows that were left out as a TSV file: path, row, field, problem."""
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
    """Yield the pairs of one source, checked; the arguments are those of ``read_bitext``.

    Of ``sentences`` it is checked, too, that a guess did not take English for the translation.
    """
    if on_bad_rows not in ("error", "skip"):
        raise InputError(f"on_bad_rows is {on_bad_rows!r}", "use 'error' or 'skip'")
    wanted = normalize(language) if language else None
    name, records = records_of(source, split)
    records, columns = with_columns(records, name, source_field, translation_field, wanted)
    if columns.guessed:
        report.note(f"{name}: read {columns.source!r} as English and {columns.translation!r} as its translation")
    kept, head = 0, list[Pair]()
    most = LOOKED_AT if sentences and columns.guessed else 0
    for number, row in records.rows:
        fault = row if isinstance(row, Fault) else _pair_fault(row, columns)
        if fault is None and not isinstance(row, Fault):
            kept += 1
            pair = row[columns.source], row[columns.translation]
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
    if found := swapped(pairs, columns.source, columns.translation):
        raise InputError(*found, path=name, field=columns.translation)


def _reject(fault: Fault, name: str, number: int, on_bad_rows: OnBadRows, report: PairReport) -> None:
    if on_bad_rows == "error":
        raise InputError(
            fault.problem,
            "correct or remove the row, or leave such rows out with on_bad_rows='skip'",
            path=name,
            row=number,
            field=fault.field,
        )
    report.bad_rows.append(BadRow(name, number, fault.field, fault.problem))


def _pair_fault(row: Mapping[str, Any], columns: Columns) -> Fault | None:
    for name in (columns.source, columns.translation):
        problem = text_fault(row[name]) if name in row else f"the field is missing (found {', '.join(row) or 'none'})"
        if problem is not None:
            return Fault(problem, name)
    return None


def with_columns(
    records: Records, name: str, source_field: str | None, translation_field: str | None, language: str | None
) -> tuple[Records, Columns]:
    """Settle the header and the two columns: the rows with the header read, and which columns are the pair."""
    first = records.first
    options = {"source_field": source_field, "translation_field": translation_field, "language": language}
    if first is None:
        _require_two(records.columns, name)
        return records, choose_columns(records.columns, path=name, **options)
    _require_two(first, name)
    by_position = positions(len(first))
    given = [option for option in (source_field, translation_field) if option is not None]
    if given and all(option in by_position and option not in first for option in given):
        return records, choose_columns(by_position, path=name, **options)
    if not given and not is_header(first, path=name):
        return records, Columns("1", "2", guessed=True)
    twice = next((cell for cell in first if first.count(cell) > 1), None)
    if twice is not None:
        raise InputError("two columns have this name", "give each column its own name", path=name, row=1, field=twice)
    return Records(first, renamed(records.rows, first)), choose_columns(first, path=name, **options)


def _require_two(columns: Sequence[str], name: str) -> None:
    if len(columns) < 2:
        found = ", ".join(repr(column) for column in columns) or "none"
        raise InputError(
            f"two columns are needed, found {len(columns)} ({found})",
            "give English and its translation; a .tsv is split at tabs, a .csv at commas",
            path=name,
        )


def records_of(source: PairSource, split: str | None) -> tuple[str, Records]:
    """The name and the rows of one source; a file is opened, a Hub id loaded."""
    if isinstance(source, datasets.Dataset):
        return "dataset", _dataset_records(source)
    if not isinstance(source, str | Path):
        return "rows", _sequence_records(source)
    path = user_path(source)
    if path.exists():
        return str(source), read_records(path)
    named_like_a_file = path.suffix.lower() in (*FORMATS, ".gz", ".txt") or path.is_absolute()
    if isinstance(source, Path) or named_like_a_file or not _HUB_ID.fullmatch(source):
        raise InputError("no such file", "check the path, or give a Hub dataset id as 'owner/name'", path=source)
    return source, _dataset_records(_load_hub(source, split))


def _load_hub(identifier: str, split: str | None) -> datasets.Dataset:
    """Load ``owner/name`` or ``owner/name:configuration`` from the Hub or its local cache; never runs remote code."""
    name, _, configuration = identifier.partition(":")
    try:
        return datasets.load_dataset(name, configuration or None, split=split or "train")
    except Exception as error:  # the Hub client raises a dozen unrelated types
        raise InputError(
            f"neither an existing file nor a dataset that the Hub could give ({type(error).__name__}: {error})",
            "check the path or the id ('owner/name' or 'owner/name:configuration') and the split; without a network, "
            "download it beforehand or give a file",
            path=identifier,
        ) from error


def _dataset_records(dataset: datasets.Dataset) -> Records:
    flat = dataset.flatten()
    columns = list(flat.column_names)

    def rows() -> Iterator[Numbered]:
        numbers = itertools.count(1)
        for batch in flat.iter(batch_size=_CHUNK):
            for values in zip(*(batch[column] for column in columns), strict=True):
                yield next(numbers), dict(zip(columns, values, strict=True))

    return Records(columns, rows())


def _sequence_records(rows: Sequence[Any]) -> Records:
    """Rows in memory: mappings, or (English, translation) pairs."""
    if not isinstance(rows, Sequence):
        remedy = "give a file, a Hub id, a datasets.Dataset, or a list of mappings or pairs"
        raise InputError(f"found {type(rows).__name__} where a source of pairs is expected", remedy)
    if not rows:
        raise InputError("there are no rows", "give at least one pair")
    named = dict.fromkeys(str(key) for row in rows[:100] if isinstance(row, Mapping) for key in row)
    columns = list(named) or ["source", "translation"]

    def numbered() -> Iterator[Numbered]:
        for number, row in enumerate(rows, start=1):
            if isinstance(row, Mapping):
                yield number, dict(row)
            elif not named and isinstance(row, Sequence) and not isinstance(row, str) and len(row) == 2:
                yield number, dict(zip(columns, row, strict=True))
            else:
                yield number, Fault(f"found {row!r:.60}, neither a mapping nor a pair")

    return Records(columns, numbered())


def to_dataset(pairs: Iterator[Pair]) -> datasets.Dataset:
    """Write pairs into a dataset with the columns ``source`` and ``translation``.

    Fewer than ten thousand pairs stay in memory; more are written to an Arrow file in the temporary folder and
    memory-mapped, so that memory does not grow with the bitext. The file is removed when the process that made it ends.

    Example:
        >>> to_dataset(iter([("Good morning", "Habari ya asubuhi")])).column_names
        ['source', 'translation']
    """
    first = list(itertools.islice(pairs, _CHUNK))
    if len(first) < _CHUNK:
        return datasets.Dataset(_arrow(first))
    path = _temporary_folder() / "pairs.arrow"
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, _SCHEMA) as writer:
        while first:
            writer.write_table(_arrow(first))
            first = list(itertools.islice(pairs, _CHUNK))
    return datasets.Dataset.from_file(str(path))


def _arrow(pairs: Sequence[Pair]) -> pa.Table:
    return pa.table(
        {"source": [source for source, _ in pairs], "translation": [other for _, other in pairs]}, schema=_SCHEMA
    )


def _temporary_folder() -> Path:
    folder, owner = Path(tempfile.mkdtemp(prefix="hf_optical-")), os.getpid()

    def remove() -> None:
        # A forked data-loader worker inherits this handler; the file is its parent's.
        if os.getpid() == owner:
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return folder
