"""Rows of a bitext for the doctor: nothing stops at a bad row, which comes out as what was found in it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_optical.data.languages import ENGLISH, find_language, normalize
from hf_optical.data.pairs import PairSource, records_of, with_columns
from hf_optical.data.tables import Fault, Numbered

__all__ = ["Bitext", "Chunk", "open_bitext"]

CHUNK = 4096
_LONGEST = 20_000  # characters of a text that are looked at; such a row is overlong anyway


@dataclass
class Chunk:
    """Some consecutive rows.

    Attributes:
        numbers: Their numbers in the file, 1-based, as in error messages.
        source: English texts, empty where unreadable.
        translation: The translations, likewise.
        faults: Place in the chunk to what was found instead of a pair of texts.
        raw: The rows as they were read, None where nothing could be.
    """

    numbers: list[int]
    source: list[str]
    translation: list[str]
    faults: dict[int, str]
    raw: list[dict[str, Any] | None]

    def __len__(self) -> int:
        return len(self.numbers)


@dataclass
class Bitext:
    """A bitext that can be read more than once."""

    name: str
    origin: PairSource
    language: str | None
    columns: tuple[str, str]
    opened: Iterator[Numbered] | None = None
    """Its rows, as far as they were opened to settle the above: the first reading goes on from there."""

    def chunks(self) -> Iterator[Chunk]:
        """Read from the start."""
        rows, self.opened = self.opened, None
        if rows is None:
            _, records = records_of(self.origin, None)
            rows = with_columns(records, self.name, *self.columns, self.language)[0].rows
        source, translation = self.columns
        while True:
            chunk = Chunk([], [], [], {}, [])
            for number, row in itertools.islice(rows, CHUNK):
                left, right, fault = _texts(row, source, translation)
                if fault is not None:
                    chunk.faults[len(chunk)] = fault
                chunk.source.append(left[:_LONGEST])
                chunk.translation.append(right[:_LONGEST])
                chunk.raw.append(None if isinstance(row, Fault) else row)
                chunk.numbers.append(number)
            if not len(chunk):
                return
            yield chunk


def open_bitext(
    source: PairSource,
    *,
    source_field: str | None = None,
    translation_field: str | None = None,
    language: str | None = None,
) -> Bitext:
    """Settle the columns and, unless it is given, the language of a bitext.

    The language is taken from a column ``lang``, from the name of the column, or from that of the file
    (``sw.train.jsonl.gz``), if one of these says it.

    Raises:
        InputError: The file cannot be read at all, or its columns are unclear.
    """
    name, records = records_of(source, None)
    wanted = normalize(language) if language else None
    records, columns = with_columns(records, name, source_field, translation_field, wanted)
    rows = iter(records.rows)
    if wanted is None:
        head = list(itertools.islice(rows, 100))
        rows = itertools.chain(head, rows)
        first = next((row for _, row in head if not isinstance(row, Fault)), {})
        hints = [first.get("lang"), first.get("language"), columns.translation]
        hints += Path(name).name.split(".")[:1] if isinstance(source, str | Path) else []
        wanted = next((code for code in map(_code, hints) if code is not None), None)
    return Bitext(name, source, wanted, (columns.source, columns.translation), rows)


def _code(hint: Any) -> str | None:
    found = find_language(hint) if isinstance(hint, str) and hint != "id" else None
    return None if found == ENGLISH else found


def _texts(row: Any, source: str, translation: str) -> tuple[str, str, str | None]:
    if isinstance(row, Fault):
        return "", "", row.problem
    for name in (source, translation):
        if not isinstance(row.get(name), str):
            found = f"found {type(row[name]).__name__}" if name in row else "missing"
            return "", "", f"field {name!r}: {found} where text is expected"
    return row[source], row[translation], None
