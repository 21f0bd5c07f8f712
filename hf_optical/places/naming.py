"""Short, distinct names for files and folders."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from hf_optical.errors import InputError

__all__ = ["distinct_names"]


def distinct_names(paths: Sequence[str | Path], field: str | None = None) -> list[str]:
    """Name every path by its last part, or by as many parts as are needed to make names distinct.

    Args:
        paths: Files or folders, or ids of the Hub.
        field: The option with which they were given, for the message.

    Returns:
        One distinct name per path, in the same order.

    Raises:
        InputError: Two paths are the same file or folder.

    Example:
        >>> distinct_names(["sets/horn/dev", "sets/coast/dev", "sets/test"])
        ['horn-dev', 'coast-dev', 'test']
    """
    parts = []
    for path in map(Path, paths):
        whole = path.resolve() if path.exists() else path
        parts.append([part for part in whole.parts if part != os.sep] or [str(path)])
    for number, one in enumerate(parts):
        if one in parts[:number]:
            raise InputError("is given twice", "give it once", path=paths[number], field=field)
    depths = [1] * len(parts)
    while True:
        names = ["-".join(one[-depth:]) for one, depth in zip(parts, depths, strict=True)]
        shared = [number for number, name in enumerate(names) if names.count(name) > 1]
        if not shared:
            return names
        if all(depths[number] >= len(parts[number]) for number in shared):  # a/b-c beside a-b/c: by their order
            return [f"{name}-{number}" if number in shared else name for number, name in enumerate(names, start=1)]
        depths = [depth + 1 if number in shared else depth for number, depth in enumerate(depths)]
