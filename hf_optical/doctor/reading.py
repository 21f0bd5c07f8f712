"""Rows of a bitext for the doctor: nothing stops at a bad row, which comes out as what was found in it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_optical.data.columns import Columns
from hf_optical.data.languages import ENGLISH, UnknownLanguageError, find_language, normalize
from hf_optical.data.pair_columns import with_columns
from hf_optical.data.sources import PairSource, records_of, single_sources
from hf_optical.data.tables import Fault, Numbered
from hf_optical.data.texts import one_form
from hf_optical.errors import InputError

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
    columns: Columns
    fields: tuple[str | None, str | None] = (None, None)
    """The columns as the caller named them; None where they are guessed."""
    opened: Iterator[Numbered] | None = None
    """Its rows, as far as they were opened to settle the above: the first reading goes on from there."""

    def chunks(self) -> Iterator[Chunk]:
        """Read from the start."""
        rows, self.opened = self.opened, None
        if rows is None:
            _, records = records_of(self.origin, None)
            left, right = self.fields
            rows = with_columns(records, self.name, left, right, self.language)[0].rows
        source, translation = self.columns.source, self.columns.translation
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
        InputError: The file cannot be read at all, or its columns are unclear; or there are several files.
    """
    wanted = normalize(language) if language else None
    sources = single_sources(source, language=wanted)
    if len(sources) != 1:
        raise InputError(f"found {len(sources)} files", "examine them one by one, as hf-optical doctor does")
    source = sources[0]
    name, records = records_of(source, None)
    records, columns = with_columns(records, name, source_field, translation_field, wanted)
    rows = iter(records.rows)
    if wanted is None:
        head = list(itertools.islice(rows, 100))
        rows = itertools.chain(head, rows)
        first = next((row for _, row in head if not isinstance(row, Fault)), {})
        hints = [_spoken(first.get("lang")), _spoken(first.get("language")), _named(columns.translation)]
        hints += [_named(part) for part in Path(name).name.split(".")[:1]] if isinstance(source, str | Path) else []
        wanted = next((code for code in hints if code not in (None, ENGLISH)), None)
    return Bitext(name, source, wanted, columns, (source_field, translation_field), rows)


def _spoken(value: Any) -> str | None:
    """The language that a cell says, of ISO 639-3 too."""
    try:
        return normalize(value) if isinstance(value, str) else None
    except UnknownLanguageError:
        return None


def _named(name: str) -> str | None:
    return find_language(name) if name != "id" else None


def _texts(row: Any, source: str, translation: str) -> tuple[str, str, str | None]:
    if isinstance(row, Fault):
        return "", "", row.problem
    for name in (source, translation):
        if not isinstance(row.get(name), str):
            found = f"found {type(row[name]).__name__}" if name in row else "missing"
            return "", "", f"field {name!r}: {found} where text is expected"
    return one_form(row[source]), one_form(row[translation]), None
