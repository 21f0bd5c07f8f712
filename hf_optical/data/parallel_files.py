"""Two text files, each line the translation of the other's, as OPUS and Moses have them: ``a.en`` and ``a.sw``."""

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
    """An English file and its partner.

    Attributes:
        english: One sentence a line.
        other: The translations of the same lines.
    """

    english: Path
    other: Path

    def __str__(self) -> str:
        return f"{self.english} and {self.other.name}"

    def records(self) -> Records:
        """Rows with the columns ``source`` and ``translation``; a blank line is an empty text.

        Raises:
            InputError: While they are read: one file has more lines than the other, or cannot be read.
        """
        return Records(["source", "translation"], self._rows())

    def _rows(self) -> Iterator[Numbered]:
        with open_bytes(self.english) as english, open_bytes(self.other) as other:
            for number, (left, right) in enumerate(itertools.zip_longest(english, other), start=1):
                if left is None or right is None:
                    short, long = (self.english, self.other) if left is None else (self.other, self.english)
                    raise InputError(
                        f"ends at line {number - 1}, and {long.name} goes on: the lines do not belong together",
                        "take both from one archive, complete",
                        path=short,
                        row=number - 1,
                    )
                yield number, {"source": _line(left), "translation": _line(right)}


def _line(raw: bytes) -> str:
    return raw.rstrip(b"\r\n").decode("utf-8", "surrogateescape")


def parallel_files(path: Path, language: str | None) -> ParallelFiles | None:
    """The two files that a path stands for, if it is one of a pair, or what their names have in common.

    Args:
        path: ``corpus.en``, ``corpus.sw`` or ``corpus`` (also with ``.gz`` behind the language).
        language: FLORES code of the translations, where known; without it there must be one partner only.

    Returns:
        The files, or None where the name does not end in a language and no file of such a name lies there.

    Raises:
        InputError: A file that ends in a language has no partner, or several.
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
            f"a text file of one language has to have one partner; found {found}",
            "put English and its translation beside each other as NAME.en and NAME.xx, and say --language",
            path=path,
        )
    return ParallelFiles(english[0], others[0])


def _suffix(path: Path) -> str:
    name = path.name[:-3] if path.name.endswith(".gz") else path.name
    return name.rpartition(".")[2] if "." in name else ""


def _stem(path: Path) -> str:
    name = path.name[:-3] if path.name.endswith(".gz") else path.name
    return name.rpartition(".")[0]


def _is_language(suffix: str, language: str | None) -> bool:
    return named_language(suffix) is not None or (language is not None and names_language(suffix, language))
