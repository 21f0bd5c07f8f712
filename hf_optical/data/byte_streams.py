"""Files opened for reading bytes of UTF-8: which format a name says, gzip and UTF-16 by their first bytes, no mark."""

from __future__ import annotations

import codecs
import contextlib
import gzip
import io
import logging
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from hf_optical.errors import InputError

__all__ = ["FORMATS", "file_format", "numbered_lines", "open_bytes"]

FORMATS = (".jsonl", ".ndjson", ".json", ".tsv", ".csv", ".parquet", ".arrow")

logger = logging.getLogger(__name__)

# The longer first: UTF-16's mark is the beginning of UTF-32's.
_WIDE_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
_NOT_READ = {
    b"PK\x03\x04": ("is a zip archive or a spreadsheet", "take the files out, or save the table as .csv or .tsv"),
    b"(\xb5/\xfd": ("is packed by zstandard", "unpack it (zstd -d), or pack it by gzip"),
    b"BZh": ("is packed by bzip2", "unpack it (bunzip2), or pack it by gzip"),
    b"\xfd7zXZ": ("is packed by xz", "unpack it (unxz), or pack it by gzip"),
    b"version https://git-lfs": ("is a pointer of Git LFS, not the file itself", "fetch it: git lfs pull"),
    b"<!DOCTYPE": ("is a web page", "download the file itself, not the page that shows it"),
    b"<html": ("is a web page", "download the file itself, not the page that shows it"),
}
_READ_AT_ONCE = 1 << 16  # characters


def file_format(path: Path) -> str:
    """The format of a file by its extension, ``.gz`` apart.

    Raises:
        InputError: For an extension that is none of :data:`FORMATS`.

    Example:
        >>> file_format(Path("train.jsonl.gz"))
        '.jsonl'
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    suffix = suffixes[-1] if suffixes else ""
    if suffix not in FORMATS:
        raise InputError(
            f"the extension {suffix!r} says nothing about the format",
            f"name the file after what it holds: {', '.join(FORMATS)} (text formats also .gz)",
            path=path,
        )
    return suffix


@contextlib.contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading bytes of UTF-8, through gzip where its first bytes say so, past a byte order mark.

    A file whose mark says UTF-16 (Excel's "Unicode text") or UTF-32 is turned into UTF-8 as it is read.

    Raises:
        InputError: If the file is missing, a folder, unreadable, empty, truncated or corrupt; or something else that is
            known by its first bytes, such as a zip archive, a web page, a pointer of Git LFS.
    """
    if path.is_dir():
        raise InputError("is a folder, not a file", "name one file", path=path)
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            stream = cast(BinaryIO, gzip.GzipFile(fileobj=raw)) if packed else raw
            buffered = io.BufferedReader(cast(io.RawIOBase, stream), 1 << 17)
            head = buffered.peek(32)
            if head[:4] in (b"", codecs.BOM_UTF8):
                raise InputError("the file is empty", "give a file with at least one row", path=path)
            if found := next((said for start, said in _NOT_READ.items() if head.startswith(start)), None):
                raise InputError(*found, path=path)
            if encoding := next((name for mark, name in _WIDE_MARKS.items() if head.startswith(mark)), None):
                logger.info("%s: read as %s, as its byte order mark says", path, encoding)
                buffered = io.BufferedReader(_Recoded(buffered, encoding, path), 1 << 17)
            if head.startswith(codecs.BOM_UTF8):
                buffered.read(len(codecs.BOM_UTF8))
            yield cast(BinaryIO, buffered)
    except FileNotFoundError:
        raise InputError("no such file", "check the path", path=path) from None
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"the gzip data is damaged ({error})", "copy or download the file again", path=path) from None
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})", "check the file", path=path) from None


class _Recoded(io.RawIOBase):
    """Bytes of UTF-8 from a stream of UTF-16 or UTF-32 with its byte order mark."""

    def __init__(self, stream: BinaryIO, encoding: str, path: Path) -> None:
        # Without a new line of its own: a carriage return in a cell stays one.
        self._text = io.TextIOWrapper(stream, encoding=encoding, errors="surrogatepass", newline="")
        self._encoding, self._path = encoding, path
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            try:
                self._left = self._text.read(_READ_AT_ONCE).encode("utf-8", "surrogatepass")
            except UnicodeDecodeError as error:
                raise InputError(
                    f"begins as {self._encoding}, and is none further on ({error.reason})",
                    "save it as UTF-8",
                    path=self._path,
                ) from None
        count = min(len(buffer), len(self._left))
        buffer[:count], self._left = self._left[:count], self._left[count:]
        return count


def numbered_lines(stream: Iterable[bytes]) -> Iterator[tuple[int, str | None]]:
    """Numbered lines without their ends; None for a blank line, unless only blank lines follow it."""
    # Bytes are split at "\n" alone: text may hold U+2028 or a lone "\r", which str.splitlines would split at.
    blank: list[int] = []
    for number, raw in enumerate(stream, start=1):
        line = raw.rstrip(b"\r\n").decode("utf-8", "surrogateescape")
        if not line or line.isspace():
            blank.append(number)
            continue
        yield from ((index, None) for index in blank)
        blank.clear()
        yield number, line
