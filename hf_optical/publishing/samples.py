"""Reading of sample sentences from a text file or from columns of a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hf_optical.data.text_rows import read_text_rows
from hf_optical.data.texts import one_form
from hf_optical.errors import InputError


def read_sample(path: str | Path, fields: Sequence[str] = ("text",)) -> list[str]:
    """Read sentences from a text file or a table.

    Args:
        path: A ``.txt`` file with one sentence per line, of which blank lines are skipped, or a table: JSONL, TSV, CSV
            (also with ``.gz``) or Parquet.
        fields: Columns of a table that hold text, such as ``("source", "translation")`` of a bitext.

    Returns:
        The sentences, row by row; those of one row are in the order of ``fields``.

    Raises:
        InputError: The file cannot be read, a column is missing, or a row has no text in it.
    """
    path = Path(path)
    if path.suffix.lower() == ".txt":
        if not path.is_file():
            raise InputError("no such file", "check the path", path=path)
        lines = [one_form(line.strip()) for line in path.read_text(encoding="utf-8-sig").splitlines()]
        return [line for line in lines if line]
    return [row[field] for _, row in read_text_rows(path, fields) for field in fields]
