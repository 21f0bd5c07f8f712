"""Runs of a comparison: every arm in every language with every seed, each a run of the train command."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hf_optical.comparison.option_checks import check_options
from hf_optical.data.languages import normalize
from hf_optical.errors import InputError
from hf_optical.results.files import RESULTS_FILE, plain

MARKER = "cell.json"
SHARED = "shared"  # grown students and document vectors, which many runs need
_OF_NO_CONSEQUENCE = ("measure_start", "shared")  # they have no influence on the results
# Options that determine the student from which a run starts; the objective only by whether the student reads English
# too.
_OF_THE_STUDENT = (
    "teacher",
    "student",
    "vocab_size",
    "new_pieces",
    "keep_marks",
    "num_layers",
    "row_init",
    "bitext",
    "max_pairs",
    "interaction",
    "source_field",
    "translation_field",
    "document_encoder",
    "query_passages",
    "context_window",
    "query_prompt",
    "lexicon",
    "start_lexicon",
)


@dataclass(frozen=True)
class RunSpec:
    """One run of a comparison: an arm in a language with a seed.

    Attributes:
        arm: Name of the arm.
        language: FLORES code.
        seed: Seed of the run.
        folder: Output folder of the run.
        options: Options of the train command.
        size: Number of sentence pairs; the whole bitext if ``None``.
    """

    arm: str
    language: str
    seed: int
    folder: Path
    options: Mapping[str, Any]
    size: int | None = None

    @property
    def flags(self) -> list[str]:
        """Return the options as flags of the train command."""
        flags: list[str] = []
        for name, value in {**self.options, "seed": self.seed, "output_dir": str(self.folder)}.items():
            entries = (
                {f"{name}.{key}": item for key, item in value.items()} if isinstance(value, Mapping) else {name: value}
            )
            for key, given in entries.items():
                for item in listed(given):
                    flags += [f"--{key}", item]
        return flags

    def is_done(self) -> bool:
        """Return whether a run with exactly these options has finished (results are written last)."""
        return (self.folder / RESULTS_FILE).is_file() and self.is_begun()

    def is_begun(self) -> bool:
        """Return whether the folder belongs to a run with exactly these options."""
        marker = self.folder / MARKER
        if not marker.is_file():
            return False
        begun = json.loads(marker.read_text(encoding="utf-8"))
        for name in _OF_NO_CONSEQUENCE:
            begun.get("options", {}).pop(name, None)
        # in the form in which it was written, with portable paths
        return bool(begun == json.loads(json.dumps(plain(self.fingerprint()))))

    def fingerprint(self) -> dict[str, Any]:
        """Return the options that determine a run's result; whether the start is measured does not."""
        options = {name: value for name, value in self.options.items() if name not in _OF_NO_CONSEQUENCE}
        return {"arm": self.arm, "language": self.language, "seed": self.seed, "options": options}

    def student(self) -> tuple[str, ...]:
        """Return the options that determine the untrained student; runs with equal ones start from the same student."""
        options = [str(self.options.get(name)) for name in _OF_THE_STUDENT]
        reads_english = any(term in str(self.options.get("objective")) for term in ("source", "self_nce"))
        return (self.language, *options, "reads English too" if reads_english else "None")


def cells_of(
    output_dir: str | Path,
    common: Mapping[str, Any],
    languages: Mapping[str, Mapping[str, Any]],
    arms: Mapping[str, Mapping[str, Any]],
    seeds: Sequence[int],
    *,
    sizes: Sequence[int | str] = (),
    pairs: Mapping[str, int] | None = None,
    curve_arms: Sequence[str] = (),
) -> list[RunSpec]:
    """List all runs, seeds in the outer loop, so that an interrupted comparison has complete seeds.

    Args:
        output_dir: Folder of the comparison.
        common: Options of every run.
        languages: Options by language (its bitext and retrieval sets).
        arms: Options by arm (what is compared).
        seeds: Seeds.
        sizes: Numbers of sentence pairs for learning curves, besides all of them (``"all"`` may be named).
        pairs: Sentence pairs by language; sizes of at least this number are left out, because they would be the whole
            bitext.
        curve_arms: Arms that are run at the sizes; all arms if empty.

    Raises:
        InputError: There is not an arm, language or seed, a language or option is unknown, or a size is not a number of
            pairs.
    """
    for name, found in (("arms", arms), ("languages", languages), ("seeds", seeds)):
        if not found:
            raise InputError("is empty", "name at least one", field=name)
    for arm in arms:
        if not re.fullmatch(r"\w[\w+.-]*", arm):
            raise InputError(
                f"{arm!r} cannot name a folder", "use letters, digits, '+', '-', '_' and '.'", field="arms"
            )
    check_options(common, languages, arms)
    for arm in curve_arms:
        if arm not in arms:
            raise InputError(f"{arm!r} is not an arm", f"use some of {', '.join(arms)}", field="curve_arms")
    known = {codes(code): options for code, options in languages.items()}
    counted = {codes(code): count for code, count in (pairs or {}).items()}
    planned = [
        (seed, size, code, arm)
        for seed in seeds
        for size in (None, *_sizes(sizes))
        for code in known
        for arm in arms
        if size is None or (size < counted.get(code, size + 1) and arm in (curve_arms or arms))
    ]
    measured: set[tuple[str, ...]] = set()
    cells = []
    for seed, size, code, arm in planned:
        # If a run has several languages, the bitext option maps languages to files (CODE=FILE).
        named = {} if "+" in code else {"language": code}
        settings: dict[str, Any] = {**named, **common, **known[code], **arms[arm]}
        settings |= {} if size is None else {"max_pairs": size}
        cell = RunSpec(arm, code, seed, _folder(Path(output_dir), code, arm, size, seed), settings, size)
        # The start of the runs is measured once for each student, with the first seed.
        start = seed == seeds[0] and cell.student() not in measured
        measured.add(cell.student())
        shared = str(Path(output_dir) / SHARED)
        cells.append(replace(cell, options={"measure_start": start, "shared": shared, **settings}))
    return cells


def codes(language: str) -> str:
    """Convert a language, or several languages of one run (``de+hi``), to FLORES codes.

    Example:
        >>> codes("de+hi")
        'deu_Latn+hin_Deva'
    """
    return "+".join(normalize(code) for code in language.split("+"))


def listed(value: Any) -> list[str]:
    """Return one or several values of a configuration as a list of texts.

    Example:
        >>> listed("a.tsv"), listed(["a.tsv", "b.tsv"]), listed(3)
        (['a.tsv'], ['a.tsv', 'b.tsv'], ['3'])
    """
    return [str(item) for item in value] if isinstance(value, (list, tuple)) else [str(value)]


def _folder(output_dir: Path, language: str, arm: str, size: int | None, seed: int) -> Path:
    return output_dir / "runs" / language / (arm if size is None else f"{arm}@{size}") / str(seed)


def _sizes(sizes: Sequence[int | str]) -> list[int]:
    found = []
    for size in sizes:
        if str(size) == "all":
            continue
        if isinstance(size, bool) or not str(size).isdigit() or int(size) < 2:
            raise InputError(f"found {size!r}", "give numbers of sentence pairs, or 'all'", field="sizes")
        found.append(int(size))
    return sorted(set(found))
