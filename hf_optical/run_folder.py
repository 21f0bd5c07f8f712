"""The output folder of a run: known by its options, resumed only with the same ones, emptied only where it is ours."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hf_optical.errors import InputError
from hf_optical.results import RESULTS_FILE, plain, write_json

MARKER = "run.json"
_WRITTEN = (MARKER, RESULTS_FILE, "per_query.json", "model", "untrained", "figures", "checkpoint-*")


def claim(folder: str | Path, options: Mapping[str, Any], *, overwrite: bool = False) -> None:
    """Make the folder this run's: empty, or holding an interrupted run of the same options.

    Args:
        folder: The output folder, made if missing.
        options: What decides the outcome: settings, seed, hashes of the data. Written into ``run.json``.
        overwrite: Remove what an earlier run wrote. Nothing is removed from a folder without ``run.json``.

    Raises:
        InputError: A finished run, a run of other options, or somebody else's model is there.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     claim(folder, {"seed": 0})
        ...     claim(folder, {"seed": 1})
        Traceback (most recent call last):
        ...
        hf_optical.errors.InputError: ...holds an interrupted run with other options: seed. ...
    """
    folder = Path(folder)
    marker = folder / MARKER
    if overwrite and marker.is_file():
        remove(folder, *_WRITTEN)
    if (folder / RESULTS_FILE).exists():
        raise InputError("holds a finished run", "choose another --output_dir, or --overwrite", path=folder)
    wanted = json.loads(json.dumps(plain(dict(options))))  # as it will be read again: lists, portable paths
    if marker.is_file():
        begun = json.loads(marker.read_text(encoding="utf-8"))
        if changed := sorted(name for name in {*wanted, *begun} if begun.get(name) != wanted.get(name)):
            raise InputError(
                f"holds an interrupted run with other options: {', '.join(changed)}",
                "start it with the same ones, choose another --output_dir, or --overwrite",
                path=folder,
            )
    elif (folder / "model").exists():
        raise InputError("holds a model that no run of this recipe wrote", "choose another --output_dir", path=folder)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(marker, wanted)


def remove(folder: Path, *patterns: str) -> None:
    """Remove files and folders that match."""
    for path in [path for pattern in patterns for path in folder.glob(pattern)]:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
