"""Writing of cleaned rows: in the format of the file's name, under columns that every reader here finds."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hf_optical.data.byte_streams import file_format
from hf_optical.data.columns import choose_columns
from hf_optical.data.delimited import is_quoted_cell
from hf_optical.data.texts import one_form
from hf_optical.errors import InputError

__all__ = ["RowWriter", "agreed_names", "clean_row"]

AGREED = ("en", "xx")
_FORMATS = (".jsonl", ".ndjson", ".json", ".tsv", ".csv")


def agreed_names(
    columns: Sequence[tuple[str, str]], sample: Sequence[Mapping[str, Any]], language: str | None
) -> tuple[str, str]:
    """The names of the two columns in the file written: their own where all files agree and a reader finds them again.

    Args:
        columns: English and other column of every file.
        sample: Some rows.
        language: Of the translations.

    Example:
        >>> agreed_names([("en", "sw")], [{"en": "goat", "sw": "mbuzi"}], "swh_Latn")
        ('en', 'sw')
        >>> agreed_names([("en", "sw"), ("1", "2")], [{"en": "goat", "sw": "mbuzi"}], "swh_Latn")
        ('en', 'xx')
    """
    if len(set(columns)) > 1 or any(name.isdecimal() for name in columns[0]):
        return AGREED
    return columns[0] if _found_again(columns[0], sample, language) else AGREED


def _found_again(names: tuple[str, str], sample: Sequence[Mapping[str, Any]], language: str | None) -> bool:
    fields = list(dict.fromkeys(name for row in sample for name in row))
    try:
        found = choose_columns(fields, rows=sample, language=language)
    except InputError:
        return False
    return (found.source, found.translation) == names


def clean_row(raw: Mapping[str, Any], columns: tuple[str, str], names: tuple[str, str]) -> dict[str, Any]:
    """A row with its two texts, in one form of Unicode, under the names agreed on, and its other fields.

    Where the columns get other names, the other fields do too (``other.``): none of them shall be taken for a side.

    Example:
        >>> clean_row({"id": 7, "en": "note", "1": "goat", "2": "mbuzi"}, ("1", "2"), ("en", "xx"))
        {'en': 'goat', 'xx': 'mbuzi', 'other.id': 7, 'other.en': 'note'}
    """
    if columns == names:
        return {name: one_form(value) if name in names else value for name, value in raw.items()}
    sides = {name: one_form(raw[column]) for name, column in zip(names, columns, strict=True)}
    return sides | {f"other.{name}": value for name, value in raw.items() if name not in columns}


class RowWriter:
    """Rows as lines of the format that a file's name says.

    Args:
        path: ``.jsonl``, ``.tsv`` or ``.csv``, also with ``.gz``.
        fields: The columns of a TSV or CSV.

    Raises:
        InputError: For another format.
    """

    def __init__(self, path: Path, fields: Sequence[str]) -> None:
        self.path, self.fields, self.kind = path, list(fields), file_format(path)
        if self.kind not in _FORMATS:
            raise InputError(f"{self.kind} cannot be written", "name it .jsonl, .tsv or .csv (also .gz)", path=path)

    def header(self) -> str:
        """The first line, empty where there is none."""
        return "" if self.kind not in (".tsv", ".csv") else self._joined(self.fields)

    def line(self, row: Mapping[str, Any]) -> str:
        """A row.

        Raises:
            InputError: A text that a TSV cannot hold.
        """
        if self.kind in (".tsv", ".csv"):
            return self._joined([_cell(row.get(name)) for name in self.fields])
        return json.dumps(row, ensure_ascii=False, default=str) + "\n"

    def _joined(self, cells: Sequence[str]) -> str:
        if self.kind == ".csv":
            buffer = io.StringIO()
            csv.writer(buffer).writerow(cells)  # its own line end, for it quotes cells that hold a part of that
            return buffer.getvalue().removesuffix("\r\n") + "\n"
        for name, cell in zip(self.fields, cells, strict=True):
            if re.search(r"[\t\r\n]", cell):
                raise InputError(
                    f"a TSV cannot hold the tab or line break of {cell!r:.60}",
                    "write .jsonl",
                    path=self.path,
                    field=name,
                )
        return "\t".join('"' + c.replace('"', '""') + '"' if is_quoted_cell(c) else c for c in cells) + "\n"


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False, default=str)
