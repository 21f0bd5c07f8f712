"""The file ``results.json`` that every command writes: what was run, on which data, with which outcome."""

from __future__ import annotations

import json
import math
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_optical.places import user_path, whole_file

if TYPE_CHECKING:
    from hf_optical.results.records import Evaluation

RESULTS_FILE = "results.json"
PER_QUERY_FILE = "per_query.json"
HELD_OUT_PER_QUERY_FILE = "held_out_per_query.json"
"""nDCG@10 of held-out queries by set, row and query; apart from the others, because these scores choose the step."""

_PACKAGES = (
    "hf-optical",
    "torch",
    "transformers",
    "accelerate",
    "datasets",
    "peft",
    "sentence-transformers",
    "POT",
    "evaluate",
    "pytrec_eval-terrier",
)


def write_results(
    output_dir: str | Path,
    *,
    evaluations: Sequence[Evaluation],
    seed: int | None = None,
    data: Sequence[Mapping[str, Any]] = (),
    started: float | None = None,
    per_query: Any = None,
    **extra: Any,
) -> Path:
    """Write ``results.json`` atomically.

    Absolute paths are written relative to the working directory, or as their last part if they are outside of it, so
    that the file contains no folders of this machine. Numbers that are not finite become ``null``.

    Args:
        output_dir: The folder; it is created if missing.
        evaluations: One record per retrieval set and language.
        seed: Random seed of the run.
        data: The data that was read: ``path``, ``rows``, ``sha256`` of each file or folder.
        started: ``time.time()`` at the start, for ``seconds``.
        per_query: Scores of each query, written to ``per_query.json`` in the same folder.
        **extra: Further entries, each under its own key.

    Returns:
        The path of ``results.json``: ``command``, ``seed``, ``versions``, ``data``, ``seconds``, ``peak_memory_mb``,
        ``evaluations``, and the extra keys.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = write_results(folder, evaluations=[], seed=1)
        ...     json.loads(path.read_text())["seed"]
        1
    """
    folder = user_path(output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = {
        "command": typed_command(),
        "seed": seed,
        "versions": versions(),
        "data": list(data),
        "seconds": None if started is None else round(time.time() - started, 3),
        "peak_memory_mb": peak_memory_mb(),
        "evaluations": [entry.to_json() for entry in evaluations],
        **extra,
    }
    if per_query is not None:
        content["per_query_file"] = PER_QUERY_FILE
        write_json(folder / PER_QUERY_FILE, per_query)
    return write_json(folder / RESULTS_FILE, content)


def write_json(path: Path, content: Any) -> Path:
    """Write JSON through a temporary file in the same folder, so that a reader never sees an incomplete file."""
    text = json.dumps(plain(content), indent=1, ensure_ascii=False, allow_nan=False)
    with whole_file(path) as scratch:
        scratch.write_text(text + "\n", encoding="utf-8")
    return path


def versions() -> dict[str, str | None]:
    """Return the versions of Python and of packages that influence results; ``None`` for missing packages.

    Example:
        >>> versions()["python"].startswith("3.")
        True
    """
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = None
    return found


def peak_memory_mb() -> float | None:
    """Return the peak resident memory of this process, in MB of 1,000,000 bytes; ``None`` if unknown."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    unit = 1 if sys.platform == "darwin" else 1024
    return round(peak * unit / 1e6, 1)


def typed_command(words: Sequence[str] | None = None) -> str:
    """Return the command of this process, without this machine's folders.

    Args:
        words: Program and arguments; by default those of this process.

    Example:
        >>> typed_command(["/opt/bin/hf-optical", "train", "--seed", "1"])
        'hf-optical train --seed 1'
        >>> typed_command(["/opt/lib/hf_optical/commands/main.py", "train", "--seed", "1"])
        'hf-optical train --seed 1'
        >>> typed_command(["/opt/lib/hf_optical/train.py", "--seed", "1"])
        'python -m hf_optical.train --seed 1'
        >>> typed_command(["recipes/evaluate.py", "--seed", "1"])
        'python recipes/evaluate.py --seed 1'
    """
    program, *arguments = sys.argv if words is None else words
    path = Path(program)
    if path.name in ("hf-optical", "hf-optical.exe") or path.parts[-3:] == ("hf_optical", "commands", "main.py"):
        said = "hf-optical"
    elif path.parts[-2:] == ("hf_optical", "train.py"):
        said = "python -m hf_optical.train"
    elif path.suffix == ".py" and path.parent.name == "recipes":
        said = f"python recipes/{path.name}"  # of a checkout, wherever that is
    else:
        said = f"python {portable(program)}" if path.suffix == ".py" else portable(program)
    return " ".join([said, *map(portable, arguments)])


def portable(text: str) -> str:
    """Remove this machine's folders from an argument such as ``/a/b``, ``--flag=/a/b`` or ``/a/b,/c/d``.

    Example:
        >>> portable("--output_dir=/"), portable("a/b"), portable(str(Path.cwd() / "x.yaml"))
        ('--output_dir=/', 'a/b', 'x.yaml')
    """
    name, equals, value = text.partition("=") if text.startswith("-") else ("", "", text)
    return name + equals + ",".join(_portable_path(part) for part in value.split(","))


def _portable_path(text: str) -> str:
    # A leading slash alone does not make a path: "/s" may be a unit.
    if not os.path.isabs(text) or not os.path.exists(os.path.dirname(text.rstrip(os.sep)) or text):
        return text
    path = Path(text)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else path.name or text


def plain(value: Any) -> Any:
    """Convert numpy values, tuples, sets and paths into JSON types, and numbers that are not finite into ``None``."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, Mapping):
        return {portable(str(key)): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((plain(item) for item in value), key=str)
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, bool | int) or value is None:
        return value
    return portable(str(value))
