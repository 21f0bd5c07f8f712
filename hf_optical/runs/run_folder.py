"""The output folder of a run: known by its options, resumed only with the same ones, emptied only where it is ours."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hf_optical.errors import InputError
from hf_optical.results.files import RESULTS_FILE, plain, write_json

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
    """Make the folder this run's: empty, or holding an interrupted run of the same options.

    Args:
        folder: The output folder, made if missing.
        options: What decides the outcome: settings, seed, hashes of data and teacher, versions of the code. Written
            into ``run.json``.
        resume_anyway: Go on with an interrupted run of other options, and log what differs.
        overwrite: Remove what an earlier run wrote. Nothing is removed from a folder without ``run.json``.

    Raises:
        InputError: A finished run, a run of other options, or somebody else's model is there.

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
    wanted = json.loads(json.dumps(plain(dict(options))))  # as it will be read again: lists, portable paths
    if marker.is_file():
        begun = _read(marker)
        if changed := _differences(begun, wanted):
            if not resume_anyway:
                raise InputError(
                    f"holds an interrupted run with other options: {'; '.join(changed)}",
                    "start it with the same ones, choose another --output_dir, --overwrite, or go on with "
                    "--resume_anyway",
                    path=folder,
                )
            logger.warning("%s: going on with other options than it was begun with: %s", folder, "; ".join(changed))
    elif (folder / "model").exists():
        raise InputError("holds a model that no run of this recipe wrote", "choose another --output_dir", path=folder)
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
    """What is not the same, in words; of mappings their entries."""
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
    """Remove files and folders that match."""
    for path in [path for pattern in patterns for path in folder.glob(pattern)]:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
