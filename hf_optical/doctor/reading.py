"""Reader of a bitext for the doctor, in which bad rows are not errors but are returned with their faults."""

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
"""Number of rows of a chunk."""
_LONGEST = 20_000  # number of characters of a text that are read; such a row is overlong in any case


@dataclass
class Chunk:
    """Consecutive rows of a bitext.

    Attributes:
        numbers: Row numbers in the file from 1, as in error messages.
        source: English texts, empty for unreadable rows.
        translation: Translations, empty for unreadable rows.
        faults: Description of what was found in place of a pair of texts, by index in the chunk.
        raw: The rows as they were read, ``None`` for unreadable ones.
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
    """Bitext that can be read several times.

    Attributes:
        name: Name of the source, for messages.
        origin: The source.
        language: FLORES code of the translations, if known.
        columns: The chosen pair of columns.
        fields: The columns as the caller named them, ``None`` for a column that is guessed.
        opened: Rows that were opened to choose the columns, with which the first reading continues.
    """

    name: str
    origin: PairSource
    language: str | None
    columns: Columns
    fields: tuple[str | None, str | None] = (None, None)
    opened: Iterator[Numbered] | None = None

    def chunks(self) -> Iterator[Chunk]:
        """Yield all rows in chunks of up to 4,096."""
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
    """Open a bitext, choose its columns and find out its language.

    Args:
        source: A single source as in :func:`hf_optical.data.bitext.read_bitext`.
        source_field: The English column. By default it is guessed.
        translation_field: The column of the translations. By default it is guessed.
        language: Language of the translations, any code. By default it is taken from a column ``lang`` or ``language``,
            from the name of the column of translations, or from that of the file (``sw.train.jsonl.gz``), if one of
            these states it.

    Raises:
        InputError: The source cannot be read, its columns are unclear, or it consists of several files.
    """
    wanted = normalize(language) if language else None
    sources = single_sources(source, language=wanted)
    if len(sources) != 1:
        raise InputError(
            f"found {len(sources)} files where one is expected", "examine them one by one, as hf-optical doctor does"
        )
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
    """Return the language that a cell states, if it is a code or name of one."""
    try:
        return normalize(value) if isinstance(value, str) else None
    except UnknownLanguageError:
        return None


def _named(name: str) -> str | None:
    """Return the FLORES-200 language that a name states; "id" means identifier."""
    return find_language(name) if name != "id" else None


def _texts(row: Any, source: str, translation: str) -> tuple[str, str, str | None]:
    """Return the two texts of a row, or empty texts and its fault."""
    if isinstance(row, Fault):
        return "", "", row.problem
    for name in (source, translation):
        if not isinstance(row.get(name), str):
            if name in row:
                return "", "", f"field {name!r}: found {type(row[name]).__name__} where text is expected"
            return "", "", f"field {name!r}: the field is missing"
    return one_form(row[source]), one_form(row[translation]), None
