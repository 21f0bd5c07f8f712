"""Expansion of ``~`` and ``$VARIABLE`` in paths, once, when options are read."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from hf_optical.errors import InputError

__all__ = ["expanded", "user_path"]

# Prefixes of a path within one word: "swh_Latn=FILE", "mono/swh_Latn=FILE", "ciral:so@FOLDER".
_NAMED = re.compile(r"([\w./:+-]+[=@])(?=[~$])")


def user_path(path: str | Path) -> Path:
    """Expand ``~``, ``~name`` and ``$VARIABLE`` in a path.

    A path that exists exactly as written is not changed.

    Args:
        path: A path from an option, a YAML file, or an argument of a function.

    Returns:
        The path, relative if it was relative.

    Raises:
        InputError: There is no such user, or the variable is not set.

    Example:
        >>> user_path("$NO_SUCH_VARIABLE/a")
        Traceback (most recent call last):
        ...
        hf_optical.errors.InputError: $NO_SUCH_VARIABLE/a: the variable 'NO_SUCH_VARIABLE' is not set. Remedy: ...
        >>> user_path("~/runs") == Path.home() / "runs", str(user_path("runs/./a/"))
        (True, 'runs/a')
    """
    text = os.fspath(path)
    if not text.strip():
        raise InputError("the path is empty", "name a file or folder")
    if os.path.exists(text):
        return Path(text)
    found = os.path.expanduser(text)
    if found.startswith("~") and (found == "~" or "/" in found or found[1:].isidentifier()):
        raise InputError("there is no such user, or no home folder", "write the path in full", path=text)
    found = os.path.expandvars(found)
    if unset := re.search(r"\$(?:\{(\w+)\}|(\w+))", found):
        name = unset[1] or unset[2]
        raise InputError(f"the variable {name!r} is not set", "set it, or write the path in full", path=text)
    return Path(found)


def expanded(value: Any) -> Any:
    """Expand every path in the value of an option.

    Ids of the Hub, names of published sets and language codes are not changed; in ``CODE=FILE`` and ``NAME@FOLDER`` the
    part after the sign is the path.

    Args:
        value: Text, or a list or mapping of text.

    Returns:
        The value in the same form.

    Raises:
        InputError: As :func:`user_path`.

    Example:
        >>> expanded(["sentence-transformers/all-MiniLM-L6-v2", "swh_Latn=~/sw.tsv"]) == [
        ...     "sentence-transformers/all-MiniLM-L6-v2", f"swh_Latn={Path.home()}/sw.tsv"]
        True
    """
    if isinstance(value, dict):
        return {key: expanded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(expanded(item) for item in value)
    if isinstance(value, Path):
        return user_path(value)
    if not isinstance(value, str) or os.path.exists(value):
        return value
    named = _NAMED.match(value)
    head, rest = (named[1], value[named.end() :]) if named else ("", value)
    if not rest.startswith("~") and "$" not in rest:
        return value
    return head + str(user_path(rest))
