"""Reading a YAML file as a mapping with unique text keys; errors name the line."""

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
        InputError: The file does not exist, is not YAML or is not a mapping; the message names the line.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8-sig"), Loader=_UniqueKeyLoader)  # noqa: S506 (a SafeLoader)
    except OSError as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
        raise InputError(reason, "check the path given to --config", path=path) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # invalid dates and numbers are ValueErrors
        mark = getattr(error, "problem_mark", None)
        problem = f"invalid YAML ({getattr(error, 'problem', None) or str(error).splitlines()[0][:200]})"
        raise InputError(problem, "correct the file", path=path, row=mark.line + 1 if mark else None) from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise InputError(f"found {type(content).__name__}, not a mapping", "write 'key: value' lines", path=path)
    return content


class _UniqueKeyLoader(yaml.SafeLoader):
    """Safe loader that refuses duplicate keys, of which YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping whose keys are all different."""
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key.value, str):
                raise yaml.MarkedYAMLError(problem="a key is not text", problem_mark=key.start_mark)
            if key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} occurs twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)
