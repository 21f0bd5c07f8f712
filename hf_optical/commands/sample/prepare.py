"""Sample data for a training recipe: files, options that suit them, an example pair, and alignment error rates."""

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

# Options that suit a teacher of width 96 and 4,000 short pairs. Runs on other data keep the recipe's defaults.
SETTINGS = {"vocab_size": 2500, "learning_rate": 2e-3, "max_steps": 600, "batch_size": 32, "marginals": "idf"}


@dataclass(frozen=True)
class Prepared:
    """Sample data on disk.

    Attributes:
        folder: Folder with the files of :func:`.generate.write` and the teacher in `teacher/`.
    """

    folder: Path

    @property
    def teacher(self) -> Path:
        """Folder of the teacher, which is a sentence-transformers model."""
        return self.folder / "teacher"

    @property
    def eval(self) -> Path:
        """Folder of the retrieval set."""
        return self.folder / "eval"

    @property
    def en_retrieval(self) -> Path:
        """File of the questions and passages on which the teacher was trained."""
        return self.folder / "en_retrieval.jsonl"

    def bitext(self, language: str) -> Path:
        """Return the file with the training pairs of a language."""
        return self.folder / f"bitext.{language}.jsonl"

    def alignments(self, language: str) -> Path:
        """Return the file with the held-out pairs of a language and their gold word alignments."""
        return self.folder / f"alignments.{language}.jsonl"

    def held_out(self, language: str) -> list[Pair]:
        """Read the held-out pairs of a language, with their gold word alignments."""
        return _read_pairs(self.alignments(language))

    def example(self, language: str) -> tuple[str, str]:
        """Return a held-out pair to draw a plan for: that with the longest English sentence of the first twenty."""
        pair = max(self.held_out(language)[:20], key=lambda pair: len(pair["source"]))
        return pair["source"], pair["translation"]

    def measure_alignment(
        self, student: BaseModel, teacher: BaseModel, language: str, solver: TransportSolver | None = None
    ) -> dict[str, float | int]:
        """Compute the alignment error rate on the held-out pairs; see :func:`.alignment.measure_alignment`."""
        bitext = _read_pairs(self.bitext(language))
        texts = ([pair["translation"] for pair in bitext], [pair["source"] for pair in bitext])
        return measure_alignment(student, teacher, self.held_out(language), texts, solver)

    def options(self, config: Any) -> dict[str, Any]:
        """Return the options with which a training command uses the sample data.

        The data's files are always among them. Options of `SETTINGS` are left out if the user has changed them.

        Args:
            config: Dataclass instance with the options of `hf-optical train`; without a `language`, Swahili is used.

        Returns:
            Values by option name.

        Raises:
            InputError: The sample data does not have the language.
        """
        language = normalize(config.language) if config.language else LANGUAGES[0]
        if language not in LANGUAGES:
            raise InputError(
                f"the embedded sample has no {language}",
                f"choose one of {', '.join(LANGUAGES)}, or give --teacher, --bitext and --eval of your own",
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
    """Write the sample data in all its languages and train its teacher, unless the folder has them already.

    Args:
        folder: Folder in which a sub-folder named after the seed is made; a complete one is used as it is.
        seed: Seed of the data and of the teacher.
    """
    prepared = Prepared(Path(folder) / f"seed-{seed}")
    complete = prepared.folder / "complete"  # written last, so that an interrupted preparation is repeated
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
