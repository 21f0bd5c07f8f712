"""The runs of a comparison: every arm in every language with every seed, each one a run of the training recipe."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from hf_optical.data.languages import normalize
from hf_optical.errors import HFOpticalError, InputError
from hf_optical.results import write_json

_MARKER = "cell.json"


@dataclass(frozen=True)
class Cell:
    """One run: an arm in a language with a seed.

    Attributes:
        arm: Name of the arm.
        language: FLORES code.
        seed: Seed of the run.
        folder: Where it writes.
        options: Options of the training recipe.
    """

    arm: str
    language: str
    seed: int
    folder: Path
    options: Mapping[str, Any]

    @property
    def flags(self) -> list[str]:
        """The options as flags of the recipe."""
        flags: list[str] = []
        for name, value in {**self.options, "seed": self.seed, "output_dir": str(self.folder)}.items():
            for item in value if isinstance(value, (list, tuple)) else [value]:
                flags += [f"--{name}", str(item)]
        return flags

    def is_done(self) -> bool:
        """Whether the run has finished, with these very options (a run writes its results last)."""
        return (self.folder / "results.json").is_file() and self.is_begun()

    def is_begun(self) -> bool:
        """Whether what lies in the folder is of a run with these very options."""
        marker = self.folder / _MARKER
        return marker.is_file() and json.loads(marker.read_text(encoding="utf-8")) == self.fingerprint()

    def fingerprint(self) -> dict[str, Any]:
        """What must be the same for a finished run to count."""
        return {"arm": self.arm, "language": self.language, "seed": self.seed, "options": dict(self.options)}


def cells_of(
    output_dir: str | Path,
    common: Mapping[str, Any],
    languages: Mapping[str, Mapping[str, Any]],
    arms: Mapping[str, Mapping[str, Any]],
    seeds: Sequence[int],
) -> list[Cell]:
    """All runs, seeds outermost, so that an early stop leaves whole comparisons behind.

    Args:
        output_dir: Folder of the comparison.
        common: Options of every run.
        languages: Options by language (its bitext and retrieval sets).
        arms: Options by arm (what is compared).
        seeds: Seeds.

    Raises:
        InputError: No arm, language or seed, or an unknown language.
    """
    for name, found in (("arms", arms), ("languages", languages), ("seeds", seeds)):
        if not found:
            raise InputError("is empty", "name at least one", field=name)
    for arm in arms:
        if not re.fullmatch(r"\w[\w+.-]*", arm):
            raise InputError(
                f"{arm!r} cannot name a folder", "use letters, digits, '+', '-', '_' and '.'", field="arms"
            )
    known = {normalize(code): options for code, options in languages.items()}
    return [
        Cell(
            arm,
            code,
            seed,
            Path(output_dir) / "runs" / code / arm / str(seed),
            # Where the runs start from is measured with the first seed only.
            {"language": code, "measure_start": seed == seeds[0], **common, **options, **arm_options},
        )
        for seed in seeds
        for code, options in known.items()
        for arm, arm_options in arms.items()
    ]


def run_cells(cells: Iterable[Cell], recipe: Path, *, jobs: int = 1, keep_models: bool = False) -> None:
    """Run what is not done yet, several at a time, each in a process of its own.

    Args:
        cells: The runs.
        recipe: ``recipes/train.py``.
        jobs: Runs at a time; each gets its share of the processor's cores.
        keep_models: Whether to keep the trained models; only the results are kept otherwise.

    Raises:
        HFOpticalError: A run failed; the others that had begun are finished, and a second call goes on from there.
    """
    waiting = [cell for cell in cells if not cell.is_done()]
    threads = str(max(1, (os.cpu_count() or 1) // jobs))
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "TOKENIZERS_PARALLELISM": "false"}
    with ThreadPoolExecutor(jobs) as pool, tqdm(total=len(waiting), desc="runs", disable=not waiting) as bar:
        futures = [pool.submit(_run, cell, recipe, environment, keep_models) for cell in waiting]
        try:
            for future in futures:
                future.result()
                bar.update()
        except BaseException:
            for future in futures:
                future.cancel()
            raise


def _run(cell: Cell, recipe: Path, environment: Mapping[str, str], keep_models: bool) -> None:
    if not cell.is_begun():  # of other options, or none: an interrupted run of these goes on from its checkpoint
        shutil.rmtree(cell.folder, ignore_errors=True)
        cell.folder.mkdir(parents=True)
        write_json(cell.folder / _MARKER, cell.fingerprint())
    log = cell.folder / "log.txt"
    with log.open("a", encoding="utf-8") as stream:
        command = [sys.executable, str(recipe), *cell.flags]
        done = subprocess.run(command, stdout=stream, stderr=subprocess.STDOUT, env=dict(environment), check=False)  # noqa: S603
    if done.returncode != 0:
        last = next((line for line in reversed(log.read_text(encoding="utf-8").splitlines()) if line.strip()), "")
        raise HFOpticalError(
            f"the run {cell.language}/{cell.arm}/{cell.seed} ended with code {done.returncode}: "
            f"{last[-300:]} (log: {log})"
        )
    if not keep_models:
        for name in ("model", "untrained"):
            shutil.rmtree(cell.folder / name, ignore_errors=True)
