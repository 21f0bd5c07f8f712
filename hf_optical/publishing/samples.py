"""A sample of the declared languages: sentences from a text file or from columns of a table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hf_optical.data.text_rows import read_text_rows
from hf_optical.data.texts import one_form
from hf_optical.errors import InputError


def read_sample(path: str | Path, fields: Sequence[str] = ("text",)) -> list[str]:
    """Read sentences.

    Args:
        path: A ``.txt`` file, one sentence a line (blank lines are left out), or a table: JSONL, TSV, CSV (.gz too) or
            Parquet.
        fields: Columns of a table that hold text, such as ``("source", "translation")`` of a bitext.

    Returns:
        The sentences, column by column within a row.

    Raises:
        InputError: The file cannot be read, has no such column, or a row has no text there.
    """
    path = Path(path)
    if path.suffix.lower() == ".txt":
        if not path.is_file():
            raise InputError("no such file", "check the path", path=path)
        lines = [one_form(line.strip()) for line in path.read_text(encoding="utf-8-sig").splitlines()]
        return [line for line in lines if line]
    return [row[field] for _, row in read_text_rows(path, fields) for field in fields]
