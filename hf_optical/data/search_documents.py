"""Reader of the documents of a search index: identifiers and texts from tables of any format."""

from __future__ import annotations

from pathlib import Path

from hf_optical.data.identifiers import identifier_field, identifier_of
from hf_optical.data.text_rows import read_text_rows
from hf_optical.data.texts import one_form
from hf_optical.data.titles import title_of, titled, warn_of_unread_titles
from hf_optical.errors import InputError

__all__ = ["read_search_documents"]


def read_search_documents(path: str | Path, *, titles: bool = False) -> dict[str, str]:
    """Read documents, in the order of the file.

    Args:
        path: A JSONL, JSON, TSV, CSV (also with ``.gz``), Parquet or Arrow file, or a folder of such files, with the
            columns ``id`` (or BEIR's ``_id``) and ``text``.
        titles: Whether to put the title of a document before its text, if it has one in the column ``title``. Default
            false.

    Returns:
        Text by identifier.

    Raises:
        InputError: The file cannot be read, or a row has no text, no identifier or that of another row.
    """
    found: dict[str, str] = {}
    left_out = 0
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
        left_out += bool(not titles and title_of(row))
        found[identifier] = one_form(titled(row, row["text"])) if titles else row["text"]
    warn_of_unread_titles(path, left_out, len(found))
    return found
