"""Write the corpus of bad inputs into a folder: ``python tests/bad_inputs/make_bad_inputs.py FOLDER``.

Each case has a folder of its own; ``expected.tsv`` says which recipe reads it with which flags and what must be said.
The same corpus comes out whenever it is made.
"""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]

import bitext_cases
import model_cases
import option_cases
import set_cases
from bad_input import Bad, Flags, Place, make_sound, sound_flags

CASES: list[Bad] = [*bitext_cases.CASES, *set_cases.CASES, *option_cases.CASES, *model_cases.CASES]


def prepare(folder: Path) -> None:
    """The sound parts, and a run that was interrupted after its first step."""
    from hf_optical.configuration.parsing import parse
    from hf_optical.runs.options import TrainConfig
    from hf_optical.runs.training_run import run_training

    make_sound(folder / "sound")
    output = folder / "interrupted"
    flags = {**sound_flags(folder / "sound", output, "train"), "keep_checkpoints": "true", "measure_start": "false"}
    run_training(parse(TrainConfig, arguments(flags)))
    for path in (output / "model", output / "checkpoint-2", output / "figures"):
        shutil.rmtree(path, ignore_errors=True)
    for name in ("results.json", "per_query.json"):
        (output / name).unlink()


def make(folder: Path, case: Bad) -> Flags:
    """Write one case; returns the flags with which its recipe meets it."""
    place = Place(folder / case.name)
    place.folder.mkdir()
    spoilt = case.make(place)
    flags = {**sound_flags(place.sound, place.folder / "out", case.recipe), **spoilt}
    return {name: value for name, value in flags.items() if value is not None}


def arguments(flags: Flags) -> list[str]:
    """Flags as words of a command line; under an empty name, or "first", words as they are."""
    words: list[str] = []
    for name, value in flags.items():
        values: list[Any] = value if isinstance(value, list) else [value]
        words += [*([f"--{name}"] if name not in ("", "first") else []), *map(str, values)]
    return words


def main(folder: Path) -> None:
    """Write all cases and ``expected.tsv``."""
    folder.mkdir(parents=True)
    prepare(folder)
    lines = ["case\trecipe\toutcome\targuments\tsays"]
    for case in CASES:
        words = shlex.join(arguments(make(folder, case)))
        lines.append("\t".join([case.name, case.recipe, case.outcome, words, " … ".join(case.says)]))
    (folder / "expected.tsv").write_text("\n".join(lines).replace(str(folder), "FOLDER") + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
