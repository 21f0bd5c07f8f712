"""A YAML file as a mapping: text for keys, no key twice, and errors that name the line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from hf_optical.errors import InputError

__all__ = ["read_mapping"]


def read_mapping(path: Path) -> dict[str, Any]:
    """Read a YAML file; an empty one is an empty mapping.

    Args:
        path: The file, given as ``--config``.

    Raises:
        InputError: There is no such file, it is not YAML, or no mapping; names the line.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8-sig"), Loader=_UniqueKeyLoader)  # noqa: S506 (a SafeLoader)
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        raise InputError(reason, "check the path given to --config", path=path) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # dates and numbers that are none are ValueErrors
        mark = getattr(error, "problem_mark", None)
        problem = f"invalid YAML ({getattr(error, 'problem', None) or str(error).splitlines()[0][:200]})"
        raise InputError(problem, "correct the file", path=path, row=mark.line + 1 if mark else None) from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise InputError(f"found {type(content).__name__}, not a mapping", "write 'key: value' lines", path=path)
    return content


class _UniqueKeyLoader(yaml.SafeLoader):
    """The safe loader, but a key that occurs twice is an error; YAML would keep the last one silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping whose keys are all different."""
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key.value, str):
                raise yaml.MarkedYAMLError(problem="a key is no word", problem_mark=key.start_mark)
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} occurs twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)
