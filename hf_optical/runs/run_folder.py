"""Output folder of a run: identified by its options, resumed only with the same, emptied only if a run wrote it."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hf_optical.errors import InputError
from hf_optical.results.files import RESULTS_FILE, plain, write_json
from hf_optical.runs.older_runs import with_current_options

logger = logging.getLogger(__name__)

MARKER = "run.json"
_SHORT = 120
_WRITTEN = (
    MARKER,
    RESULTS_FILE,
    "per_query.json",
    "held_out_per_query.json",
    "model",
    "untrained",
    "start.json",
    "figures",
    "publication",
    "checkpoint-*",
    "teacher_cache",
    "held_out",
)


def prepare_output_dir(
    folder: str | Path, options: Mapping[str, Any], *, overwrite: bool = False, resume_anyway: bool = False
) -> None:
    """Prepare the folder for this run: it is then empty or holds an interrupted run of the same options.

    Args:
        folder: The output folder; it is created if missing.
        options: Everything that determines the outcome: settings, seed, hashes of data and teacher, versions of the
            code. Written into ``run.json``.
        resume_anyway: Resume an interrupted run with other options, and log the differences.
        overwrite: Remove the files of an earlier run. Nothing is removed from a folder without ``run.json``.

    Raises:
        InputError: The folder holds a finished run, a run with other options, or a model that no run wrote.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     prepare_output_dir(folder, {"seed": 0})
        ...     prepare_output_dir(folder, {"seed": 1})
        Traceback (most recent call last):
        ...
        hf_optical.errors.InputError: ...holds an interrupted run with other options: seed (was 0, now 1). ...
    """
    folder = Path(folder)
    marker = folder / MARKER
    if folder.exists() and not folder.is_dir():
        raise InputError("is a file, not a folder", "choose another --output_dir", path=folder)
    if overwrite and marker.is_file():
        remove(folder, *_WRITTEN)
    if (folder / RESULTS_FILE).exists():
        raise InputError("holds a finished run", "choose another --output_dir, or --overwrite", path=folder)
    wanted = json.loads(json.dumps(plain(dict(options))))  # in the form in which it is read back: lists, portable paths
    if marker.is_file():
        begun = with_current_options(_read(marker), wanted)
        if changed := _differences(begun, wanted):
            if not resume_anyway:
                raise InputError(
                    f"holds an interrupted run with other options: {'; '.join(changed)}",
                    "start it with the same options, choose another --output_dir, --overwrite, or resume with "
                    "--resume_anyway",
                    path=folder,
                )
            logger.warning("%s: resuming with other options than the run began with: %s", folder, "; ".join(changed))
    elif (folder / "model").exists():
        raise InputError(
            "holds a model that no run of hf-optical train wrote", "choose another --output_dir", path=folder
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_json(marker, wanted)


def _read(marker: Path) -> dict[str, Any]:
    try:
        found = json.loads(marker.read_text(encoding="utf-8"))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InputError("the file is damaged", "choose another --output_dir, or --overwrite", path=marker)
    return found


def _differences(begun: Mapping[str, Any], wanted: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Describe the differences in words; mappings are compared by entry."""
    found = []
    for name in sorted({*begun, *wanted}):
        old, new = begun.get(name), wanted.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            found += _differences(old, new, f"{prefix}{name}.")
        elif old != new:
            short = len(str(old)) + len(str(new)) <= _SHORT
            found.append(f"{prefix}{name}" + (f" (was {old}, now {new})" if short else ""))
    return found


def remove(folder: Path, *patterns: str) -> None:
    """Remove the files and folders that match."""
    for path in [path for pattern in patterns for path in folder.glob(pattern)]:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
