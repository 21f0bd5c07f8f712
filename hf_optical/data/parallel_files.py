"""Parallel text files, whose lines are translations of each other, as OPUS has them: ``a.en`` and ``a.sw``."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hf_optical.data.byte_streams import FORMATS, open_bytes
from hf_optical.data.column_names import named_language, names_language
from hf_optical.data.languages import ENGLISH
from hf_optical.data.records import Numbered, Records
from hf_optical.errors import InputError

__all__ = ["ParallelFiles", "parallel_files"]


@dataclass(frozen=True)
class ParallelFiles:
    """English text file and the file with its translations.

    Attributes:
        english: File with one sentence per line.
        other: File with the translations of the same lines.
    """

    english: Path
    other: Path

    def __str__(self) -> str:
        return f"{self.english} and {self.other.name}"

    def records(self) -> Records:
        """Return rows with the columns ``source`` and ``translation``; a blank line is an empty text.

        Raises:
            InputError: Raised while the rows are read, if one file has more lines than the other or cannot be read.
        """
        return Records(["source", "translation"], self._rows())

    def _rows(self) -> Iterator[Numbered]:
        with open_bytes(self.english) as english, open_bytes(self.other) as other:
            for number, (left, right) in enumerate(itertools.zip_longest(english, other), start=1):
                if left is None or right is None:
                    short, long = (self.english, self.other) if left is None else (self.other, self.english)
                    raise InputError(
                        f"ends at line {number - 1}, but {long.name} continues, so that the lines do not correspond",
                        "take both complete files from the same archive",
                        path=short,
                        row=number - 1,
                    )
                yield number, {"source": _line(left), "translation": _line(right)}


def _line(raw: bytes) -> str:
    return raw.rstrip(b"\r\n").decode("utf-8", "surrogateescape")


def parallel_files(path: Path, language: str | None) -> ParallelFiles | None:
    """Find the two parallel files that a path stands for.

    Args:
        path: One of the files, ``corpus.en`` or ``corpus.sw`` (also with ``.gz`` behind the language), or the common
            part of their names, ``corpus``.
        language: FLORES code of the translations, if known; otherwise there must be only one file of translations.

    Returns:
        The two files, or ``None`` if the path is neither a file whose name ends in a language nor a common part.

    Raises:
        InputError: A file whose name ends in a language has no partner, or several.
    """
    suffix = _suffix(path)
    named = _is_language(suffix, language)
    if f".{suffix}" in FORMATS or path.is_dir() or (path.exists() and not named) or not path.parent.is_dir():
        return None
    stem = _stem(path) if named else path.name
    beside = [file for file in sorted(path.parent.iterdir()) if file.is_file() and _stem(file) == stem]
    english = [file for file in beside if named_language(_suffix(file)) == ENGLISH]
    others = [file for file in beside if file not in english and _is_language(_suffix(file), language)]
    if language is not None:
        others = [file for file in others if names_language(_suffix(file), language)]
    if not path.exists() and not (english and others):
        return None
    if len(english) != 1 or len(others) != 1:
        found = ", ".join(file.name for file in (*english, *others)) or "none"
        raise InputError(
            f"a text file in one language needs exactly one partner; found {found}",
            "put English and its translation into one folder as NAME.en and NAME.xx, and give --language",
            path=path,
        )
    return ParallelFiles(english[0], others[0])


def _suffix(path: Path) -> str:
    """Return what follows the last dot of a name without ``.gz``."""
    name = path.name[:-3] if path.name.endswith(".gz") else path.name
    return name.rpartition(".")[2] if "." in name else ""


def _stem(path: Path) -> str:
    """Return what precedes the last dot of a name without ``.gz``."""
    name = path.name[:-3] if path.name.endswith(".gz") else path.name
    return name.rpartition(".")[0]


def _is_language(suffix: str, language: str | None) -> bool:
    return named_language(suffix) is not None or (language is not None and names_language(suffix, language))
