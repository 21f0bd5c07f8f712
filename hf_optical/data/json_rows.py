"""Reader of JSON files: an object on each line, an array of objects, or a document with the rows in one field."""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from hf_optical.data.byte_streams import numbered_lines, open_bytes
from hf_optical.data.json_objects import flattened, unique_fields
from hf_optical.data.records import Fault, Numbered, Row
from hf_optical.data.texts import excerpt
from hf_optical.errors import InputError

__all__ = ["read_json_rows"]

_JSON = json.JSONDecoder(object_pairs_hook=unique_fields)  # json.loads would create a decoder for each line


def read_json_rows(path: Path) -> Iterator[Numbered]:
    """Read the rows of a JSON file.

    Args:
        path: JSONL, or one array of objects. A file named ``.json`` may also hold one object, of which one field is
            such an array (``{"data": [...]}``), or whose fields are columns (``{"en": [...], "sw": [...]}``, also as
            pandas writes them). White space before and within does not matter.

    Yields:
        Row numbers, which are lines in JSONL and positions in an array from 1, with the rows or their faults.

    Raises:
        InputError: The file cannot be read, or an array or document is not valid JSON.
    """
    with open_bytes(path) as stream:
        skipped = _skip_blank(stream)
        first = _peek(stream)
        if first == b"[":
            yield from _items(_parsed(stream.read(), path))
        elif first == b"{" and ".json" in (suffix.lower() for suffix in path.suffixes):
            yield from _document_or_lines(stream, path, skipped)
        else:
            yield from _lines(stream, skipped)


def _peek(stream: BinaryIO) -> bytes:
    return cast(io.BufferedReader, stream).peek(1)[:1]


def _skip_blank(stream: BinaryIO) -> int:
    """Skip white space and return the number of whole lines that were skipped."""
    lines = 0
    while (first := _peek(stream)) and first in b" \t\r\n\f\v":
        lines += stream.read(1) == b"\n"
    return lines


def _lines(raw: Iterable[bytes], skipped: int) -> Iterator[Numbered]:
    for number, line in numbered_lines(itertools.chain(itertools.repeat(b"\n", skipped), raw)):
        yield number, _json_row(line)


def _document_or_lines(stream: BinaryIO, path: Path, skipped: int) -> Iterator[Numbered]:
    """Read a ``.json`` file that begins with an object.

    It is read line by line if one of the first two non-blank lines is a complete object and there are two; otherwise it
    is one document.
    """
    head: list[bytes] = []
    full: list[dict[str, Any] | Fault] = []
    while len(full) < 2 and (line := stream.readline()):
        head.append(line)
        if line.strip():
            full.append(_json_row(_text(line)))
    if len(full) > 1 and any(isinstance(row, dict) for row in full):
        yield from _lines(itertools.chain(head, stream), skipped)
    else:
        yield from _items(_rows_of_document(_parsed(b"".join(head) + stream.read(), path)))


def _parsed(content: bytes, path: Path) -> Any:
    try:
        return json.loads(_text(content), object_pairs_hook=unique_fields)
    except (ValueError, RecursionError) as error:
        raise InputError(f"invalid JSON ({error})", "write one JSON object a line (.jsonl)", path=path) from None


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")


def _rows_of_document(document: Any) -> list[Any]:
    """Return the rows of an object: the only array of objects in it, its columns side by side, or the object itself.

    Example:
        >>> _rows_of_document({"version": "1", "data": [{"en": "goat"}]})
        [{'en': 'goat'}]
        >>> _rows_of_document({"en": ["goat", "dog"], "sw": ["mbuzi", "mbwa"]})
        [{'en': 'goat', 'sw': 'mbuzi'}, {'en': 'dog', 'sw': 'mbwa'}]
    """
    arrays = [value for value in document.values() if isinstance(value, list) and value and isinstance(value[0], dict)]
    if len(arrays) == 1:
        return arrays[0]
    tables = [v for v in document.values() if isinstance(v, dict) and len(v) > 1 and all(map(_is_list, v.values()))]
    if len(tables) == 1:
        return _rows_of_document(tables[0])
    columns = {name: _column(value) for name, value in document.items()}
    found = [column for column in columns.values() if column is not None]
    if len(found) == len(columns) > 1 and len({tuple(column) for column in found}) == 1:
        return [{name: column[key] for name, column in columns.items() if column} for key in found[0]]
    return [document]


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _column(value: Any) -> dict[str, Any] | None:
    """Return the cells of a column by row label, or ``None`` if the value is not a column.

    A column is a list, or an object whose names are numbers, as ``DataFrame.to_json`` writes it.
    """
    if isinstance(value, list):
        return {str(place): cell for place, cell in enumerate(value)}
    return value if isinstance(value, dict) and value and all(key.isdecimal() for key in value) else None


def _items(items: Any) -> Iterator[Numbered]:
    for number, item in enumerate(items, start=1):
        yield number, flattened(item) if isinstance(item, dict) else Fault(f"found {excerpt(item)}, not a JSON object")


def _json_row(line: str | None) -> Row | Fault:
    if line is None:
        return Fault("the line is empty")
    try:
        item = _JSON.decode(line)
    except (ValueError, RecursionError) as error:
        return Fault(f"invalid JSON ({getattr(error, 'msg', error)}), found {excerpt(line)}")
    return flattened(item) if isinstance(item, dict) else Fault(f"found {excerpt(item)}, not a JSON object")
