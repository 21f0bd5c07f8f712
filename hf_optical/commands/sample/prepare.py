"""The embedded default as a training recipe sees it: files, options that suit them, an example, a measure."""

from __future__ import annotations

import json
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from sentence_transformers.base.model import BaseModel

from hf_optical.commands.sample.alignment import measure_alignment
from hf_optical.commands.sample.generate import Pair, generate, write
from hf_optical.commands.sample.grammar import LANGUAGES
from hf_optical.commands.sample.teacher import build_teacher
from hf_optical.data.languages import normalize
from hf_optical.errors import InputError
from hf_optical.transport import TransportSolver

# What suits a teacher of width 96 and four thousand short pairs; a real run keeps the recipe's own defaults.
SETTINGS = {"vocab_size": 2500, "learning_rate": 2e-3, "max_steps": 600, "batch_size": 32, "marginals": "idf"}


@dataclass(frozen=True)
class Prepared:
    """A sample on disk.

    Attributes:
        folder: Holds what :func:`.generate.write` writes, and `teacher/`.
    """

    folder: Path

    @property
    def teacher(self) -> Path:
        """Folder of the teacher, a sentence-transformers model."""
        return self.folder / "teacher"

    @property
    def eval(self) -> Path:
        """Folder of the retrieval set."""
        return self.folder / "eval"

    @property
    def en_retrieval(self) -> Path:
        """The questions and passages that the teacher learnt from."""
        return self.folder / "en_retrieval.jsonl"

    def bitext(self, language: str) -> Path:
        """Training pairs of a language."""
        return self.folder / f"bitext.{language}.jsonl"

    def alignments(self, language: str) -> Path:
        """Held-out pairs of a language, with gold word alignments."""
        return self.folder / f"alignments.{language}.jsonl"

    def held_out(self, language: str) -> list[Pair]:
        """The rows of `alignments`."""
        return _read_pairs(self.alignments(language))

    def example(self, language: str) -> tuple[str, str]:
        """A held-out pair to draw a plan of: the longest English of the first twenty, and its translation."""
        pair = max(self.held_out(language)[:20], key=lambda pair: len(pair["source"]))
        return pair["source"], pair["translation"]

    def measure_alignment(
        self, student: BaseModel, teacher: BaseModel, language: str, solver: TransportSolver | None = None
    ) -> dict[str, float | int]:
        """The alignment error rate on the held-out pairs; see :func:`.alignment.measure_alignment`."""
        bitext = _read_pairs(self.bitext(language))
        texts = ([pair["translation"] for pair in bitext], [pair["source"] for pair in bitext])
        return measure_alignment(student, teacher, self.held_out(language), texts, solver)

    def options(self, config: Any) -> dict[str, Any]:
        """Options that a training command sets for the embedded default, where the user has not set them.

        Args:
            config: A dataclass instance with the options of `hf-optical train`. Without a `language`: Swahili.

        Returns:
            Option names to values.

        Raises:
            InputError: When the sample does not speak the language.
        """
        language = normalize(config.language) if config.language else LANGUAGES[0]
        if language not in LANGUAGES:
            raise InputError(
                f"the embedded sample has no {language}",
                f"choose among {', '.join(LANGUAGES)}, or give --teacher, --bitext and --eval of your own",
                field="language",
            )
        untouched = {option.name for option in fields(config) if getattr(config, option.name) == _default(option)}
        return {
            "teacher": str(self.teacher),
            "language": language,
            "bitext": [str(self.bitext(language))],
            "eval": [str(self.eval)],
            **{name: value for name, value in SETTINGS.items() if name in untouched},
        }


def prepare(folder: str | Path, seed: int = 0) -> Prepared:
    """Writes the sample in all its languages and trains its teacher, once for each seed in a folder.

    Args:
        folder: Where; a sub-folder named after the seed is made in it, and used as it is where it is complete.
        seed: Seed of the sample and of the teacher.
    """
    prepared = Prepared(Path(folder) / f"seed-{seed}")
    complete = prepared.folder / "complete"  # written last: a run that was cut short is prepared again
    if not complete.exists():
        sample = generate(seed)
        write(sample, prepared.folder)
        build_teacher(sample, prepared.teacher, seed)
        complete.touch()
    return prepared


def _read_pairs(path: Path) -> list[Pair]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _default(option: Any) -> Any:
    return option.default if option.default_factory is MISSING else option.default_factory()
