"""Documents of a search: identifiers and texts from tables of any form."""

from __future__ import annotations

from pathlib import Path

from hf_optical.data.identifiers import identifier_field, identifier_of
from hf_optical.data.text_rows import read_text_rows
from hf_optical.data.texts import one_form
from hf_optical.data.titles import titled
from hf_optical.errors import InputError

__all__ = ["read_search_documents"]


def read_search_documents(path: str | Path, *, titles: bool = False) -> dict[str, str]:
    """Read documents, in the order of the file.

    Args:
        path: JSONL, JSON, TSV, CSV (``.gz`` too), Parquet or Arrow, or a folder of these, with ``id`` (or ``_id``, as
            BEIR has it) and ``text``.
        titles: Put the column ``title``, where a document has one, before its text.

    Returns:
        Text by identifier.

    Raises:
        InputError: The file cannot be read; a row has no identifier, or that of another row, or no text.
    """
    found: dict[str, str] = {}
    for number, row in read_text_rows(path):
        identifier = identifier_of(row, path, number)
        if identifier in found:
            raise InputError(
                f"the identifier {identifier!r} occurs twice",
                "give every document its own",
                path=path,
                row=number,
                field=identifier_field(row),
            )
        found[identifier] = one_form(titled(row, row["text"])) if titles else row["text"]
    return found
