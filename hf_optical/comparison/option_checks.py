"""Checks of the training options in a comparison's YAML, before anything runs."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from hf_optical.configuration.fields import fields_of
from hf_optical.configuration.parsing import path_options
from hf_optical.errors import InputError
from hf_optical.places import expanded
from hf_optical.runs.options import TrainConfig


def check_options(
    common: Mapping[str, Any],
    languages: Mapping[str, Mapping[str, Any]] | None = None,
    arms: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Find options that the train command does not have, before the first run instead of in the middle.

    Args:
        common: Options of every run.
        languages: Options by language.
        arms: Options by arm.

    Raises:
        InputError: An option is unknown (the message names the nearest), or an entry is not an option with a value.
    """
    known = [name for field in fields_of(TrainConfig) for name in (field.key, *field.former)]
    given: dict[str, Any] = {"common": common}
    for name, parts in (("languages", languages), ("arms", arms)):
        given |= {f"{name}.{key}": options for key, options in (parts or {}).items()}
    for place, options in given.items():
        if not isinstance(options, Mapping):
            problem = f"found {options!r:.80} where options of hf-optical train are expected"
            raise InputError(problem, "write 'option: value' lines below it", field=place)
        for option, _ in _flat(options, known, place):
            if option not in known:
                near = difflib.get_close_matches(str(option), known, 1)
                hint = f"did you mean {near[0]!r}?" if near else "hf-optical train --help lists them"
                raise InputError("is not an option of hf-optical train", hint, field=f"{place}.{option}")


def _flat(options: Mapping[str, Any], known: list[str], place: str) -> list[tuple[str, Any]]:
    """List options and values, those of a mapping option under dotted names."""
    found: list[tuple[str, Any]] = []
    for option, value in options.items():
        if not isinstance(value, Mapping):
            found.append((option, value))
        elif any(name.startswith(f"{option}.") for name in known) and not any(
            isinstance(item, Mapping) for item in value.values()
        ):
            found += [(f"{option}.{key}", item) for key, item in value.items()]
        else:  # a YAML alias may even refer to the mapping that contains it
            raise InputError("found a mapping", "write a plain value", field=f"{place}.{option}")
    return found


def expanded_paths(options: Mapping[str, Any]) -> dict[str, Any]:
    """Expand ``~`` and ``$VARIABLE`` in the paths of train options, or of mappings of these.

    A comparison reads some of these paths itself before the runs do.

    Args:
        options: Options by name, or mappings of these by language or arm.

    Raises:
        InputError: The user or variable in a path does not exist.
    """
    paths = path_options(TrainConfig)
    return {
        name: expanded_paths(value) if isinstance(value, Mapping) else expanded(value) if name in paths else value
        for name, value in options.items()
    }
