"""Formatting of cleaned rows in the format of the file name, with column names that the package's readers recognise."""

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
    """Choose the names of the two columns in the cleaned file.

    They keep their names if these are the same in all files and a reader recognises them, and are ``en`` and ``xx``
    otherwise.

    Args:
        columns: English column and column of the translations in every file.
        sample: Some rows.
        language: FLORES code of the translations, if known.

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
    """Return whether a reader that is not told the names chooses these two columns."""
    fields = list(dict.fromkeys(name for row in sample for name in row))
    try:
        found = choose_columns(fields, rows=sample, language=language)
    except InputError:
        return False
    return (found.source, found.translation) == names


def clean_row(raw: Mapping[str, Any], columns: tuple[str, str], names: tuple[str, str]) -> dict[str, Any]:
    """Rename the two texts of a row, normalise them to NFC, and keep its other fields.

    If the two columns are renamed, the other fields get the prefix ``other.``, so that no reader takes one of them for
    a side.

    Args:
        raw: The row as it was read.
        columns: Names of its English column and of that of the translation.
        names: Names of the two columns in the cleaned file.

    Example:
        >>> clean_row({"id": 7, "en": "note", "1": "goat", "2": "mbuzi"}, ("1", "2"), ("en", "xx"))
        {'en': 'goat', 'xx': 'mbuzi', 'other.id': 7, 'other.en': 'note'}
    """
    if columns == names:
        return {name: one_form(value) if name in names else value for name, value in raw.items()}
    sides = {name: one_form(raw[column]) for name, column in zip(names, columns, strict=True)}
    return sides | {f"other.{name}": value for name, value in raw.items() if name not in columns}


class RowWriter:
    """Formatter of rows as lines, in the format of a file name.

    Args:
        path: A name that ends in ``.jsonl``, ``.tsv`` or ``.csv``, also with ``.gz``.
        fields: The columns of a TSV or CSV file.

    Raises:
        InputError: The name is that of another format.
    """

    def __init__(self, path: Path, fields: Sequence[str]) -> None:
        self.path, self.fields, self.kind = path, list(fields), file_format(path)
        if self.kind not in _FORMATS:
            raise InputError(
                f"files of the format {self.kind} cannot be written",
                "use the extension .jsonl, .tsv or .csv (also with .gz)",
                path=path,
            )

    def header(self) -> str:
        """Return the header line, or an empty string for formats without one."""
        return "" if self.kind not in (".tsv", ".csv") else self._joined(self.fields)

    def line(self, row: Mapping[str, Any]) -> str:
        """Format a row.

        Raises:
            InputError: A TSV cell has a tab or a line break.
        """
        if self.kind in (".tsv", ".csv"):
            return self._joined([_cell(row.get(name)) for name in self.fields])
        return json.dumps(row, ensure_ascii=False, default=str) + "\n"

    def _joined(self, cells: Sequence[str]) -> str:
        if self.kind == ".csv":
            buffer = io.StringIO()
            # The writer keeps its default line end, because it quotes cells that contain a character of it.
            csv.writer(buffer).writerow(cells)
            return buffer.getvalue().removesuffix("\r\n") + "\n"
        for name, cell in zip(self.fields, cells, strict=True):
            if re.search(r"[\t\r\n]", cell):
                raise InputError(
                    f"a TSV file cannot hold the tab or line break of {cell!r:.60}",
                    "write a .jsonl file",
                    path=self.path,
                    field=name,
                )
        return "\t".join('"' + c.replace('"', '""') + '"' if is_quoted_cell(c) else c for c in cells) + "\n"


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False, default=str)
