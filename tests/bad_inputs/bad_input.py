"""One bad input: how it is made, which recipe reads it, and what must be said of it."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tiny_models

Flags = dict[str, Any]
BITEXT = [(row["source"], row["translation"]) for row in tiny_models.bitext(24)]


@dataclass(frozen=True)
class Bad:
    """One bad input.

    Args:
        name: Of its folder.
        says: Parts that the one message has, each of them.
        make: Writes what is bad into a case's folder, and returns the flags that name it; ``None`` drops a flag.
        recipe: ``train``, ``evaluate``, ``compare``, ``lexicon`` or ``adapters``.
        outcome: ``error``: one line, exit code 2. ``warning``: the run ends well, and the parts are in a warning.
    """

    name: str
    says: tuple[str, ...]
    make: Callable[[Place], Flags]
    recipe: str = "train"
    outcome: str = "error"


@dataclass(frozen=True)
class Place:
    """The folder of a case, and the sound parts beside it from which it is made."""

    folder: Path

    @property
    def sound(self) -> Path:
        """The folder of the sound parts."""
        return self.folder.parent / "sound"

    def file(self, name: str, content: str | bytes) -> str:
        """Write a file; returns its path."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
        return str(path)

    def copy(self, name: str) -> Path:
        """A copy of a sound part, to be spoilt."""
        target = self.folder / name
        shutil.copytree(self.sound / name, target)
        return target

    def path(self, name: str) -> str:
        """A path in the folder of the case."""
        return str(self.folder / name)


def tsv(*extra: str, header: str = "en\tsw") -> str:
    """A sound TSV of pairs, with lines after it."""
    return "\n".join([header, *("\t".join(pair) for pair in BITEXT), *extra]) + "\n"


def jsonl(*extra: Any, english: str = "en", other: str = "sw") -> str:
    """A sound JSONL of pairs, with rows (or raw lines) after it."""
    rows: list[Any] = [{english: pair[0], other: pair[1]} for pair in BITEXT]
    return "".join((item if isinstance(item, str) else json.dumps(item)) + "\n" for item in [*rows, *extra])


def packed(content: str | bytes) -> bytes:
    """Gzip, the same bytes whenever it is made."""
    return gzip.compress(content.encode("utf-8") if isinstance(content, str) else content, mtime=0)


def make_sound(folder: Path) -> None:
    """Teacher, bitext and retrieval set, all tiny and sound: ``folder/teacher``, ``pairs.tsv``, ``eval``."""
    folder.mkdir(parents=True)
    tiny_models.dense(folder / "parts", tiny_models.ENGLISH).save_pretrained(str(folder / "teacher"))
    (folder / "pairs.tsv").write_text(tsv(), encoding="utf-8")
    (folder / "eval").mkdir()
    texts = dict(BITEXT)
    for name, values in (("corpus.en", [*texts]), ("queries.sw", [*texts.values()]), ("queries.en", [*texts])):
        lines = [json.dumps({"id": f"{name[0]}{i}", "text": text}) for i, text in enumerate(values)]
        (folder / "eval" / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "eval" / "qrels.all.trec").write_text("".join(f"q{i} 0 c{i} 1\n" for i in range(len(texts))))


def sound_flags(sound: Path, output: Path, recipe: str) -> Flags:
    """Flags with which the recipe ends well on the sound parts."""
    flags: dict[str, Flags] = {
        "train": {
            "teacher": str(sound / "teacher"),
            "student": "copy",
            "language": "sw",
            "bitext": str(sound / "pairs.tsv"),
            "eval": str(sound / "eval"),
            "output_dir": str(output),
            "max_steps": "2",
            "batch_size": "4",
            "save_steps": "1",
        },
        "evaluate": {"model": str(sound / "teacher"), "eval": str(sound / "eval"), "output_dir": str(output)},
        "compare": {"output_dir": str(output)},
        "lexicon": {},
        "adapters": {},
    }
    return dict(flags[recipe])
