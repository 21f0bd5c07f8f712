"""Opening of data files as UTF-8 bytes: the format by the file name, gzip and UTF-16 by the first bytes."""

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

# The longer marks come first, because UTF-16's mark is a prefix of UTF-32's.
_WIDE_MARKS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
_NOT_READ = {
    b"PK\x03\x04": ("is a zip archive or a spreadsheet", "unpack the files, or save the table as .csv or .tsv"),
    b"(\xb5/\xfd": ("is compressed with zstandard", "decompress it (zstd -d), or compress it with gzip"),
    b"BZh": ("is compressed with bzip2", "decompress it (bunzip2), or compress it with gzip"),
    b"\xfd7zXZ": ("is compressed with xz", "decompress it (unxz), or compress it with gzip"),
    b"version https://git-lfs": ("is a pointer of Git LFS, not the file itself", "fetch it: git lfs pull"),
    b"<!DOCTYPE": ("is a web page", "download the file itself, not the page that shows it"),
    b"<html": ("is a web page", "download the file itself, not the page that shows it"),
}
_READ_AT_ONCE = 1 << 16  # characters


def file_format(path: Path) -> str:
    """Return the format of a file, which is its extension without ``.gz``.

    Raises:
        InputError: The extension is none of :data:`FORMATS`.

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
            f"the extension {suffix!r} is not that of a supported format",
            f"name the file after its format: {', '.join(FORMATS)} (text formats also with .gz)",
            path=path,
        )
    return suffix


@contextlib.contextmanager
def open_bytes(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading bytes of UTF-8, decompressed if it is gzip, and without a byte order mark.

    A file whose byte order mark is that of UTF-16 (Excel's "Unicode text") or UTF-32 is recoded to UTF-8 while it is
    read.

    Raises:
        InputError: The file is missing, a folder, unreadable, empty, truncated or corrupt, or its first bytes are those
            of something else, such as a zip archive, a web page or a Git LFS pointer.
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
    """Stream of UTF-8 bytes, recoded from a stream of UTF-16 or UTF-32 that begins with its byte order mark."""

    def __init__(self, stream: BinaryIO, encoding: str, path: Path) -> None:
        # With newline="" line ends are not translated, so that a carriage return in a cell is kept.
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
                    f"begins as {self._encoding}, but is not {self._encoding} further on ({error.reason})",
                    "save it as UTF-8",
                    path=self._path,
                ) from None
        count = min(len(buffer), len(self._left))
        buffer[:count], self._left = self._left[:count], self._left[count:]
        return count


def numbered_lines(stream: Iterable[bytes]) -> Iterator[tuple[int, str | None]]:
    """Number the lines from 1 and decode them without line ends.

    Blank lines are ``None``; those at the end of the file are omitted.
    """
    # Bytes are split at "\n" only, because text may contain U+2028 or a lone "\r", where str.splitlines would split.
    blank: list[int] = []
    for number, raw in enumerate(stream, start=1):
        line = raw.rstrip(b"\r\n").decode("utf-8", "surrogateescape")
        if not line or line.isspace():
            blank.append(number)
            continue
        yield from ((index, None) for index in blank)
        blank.clear()
        yield number, line
