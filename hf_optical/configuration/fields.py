"""The fields of a configuration: their names as flags, their help, and the page that lists them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, get_type_hints

from hf_optical.configuration.conversion import describe, nested_type

YAML_FLAG = "config"


@dataclasses.dataclass(frozen=True)
class Field:
    """One field: its dotted key, its annotation, its default as text, help, place and former names."""

    key: str
    annotation: Any
    default: str | None
    help: str
    first: bool = False
    path: bool = False
    former: Mapping[str, Mapping[str, str] | None] = dataclasses.field(default_factory=dict)
    words: bool = False


def option(
    default: Any = dataclasses.MISSING,
    text: str = "",
    *,
    path: bool = False,
    first: bool = False,
    former: Mapping[str, Mapping[str, str] | None] | None = None,
    words: bool = False,
) -> Any:
    """A field of a configuration: its default, which may be a list, and its help.

    Args:
        default: Its value where none is given; without one the field is required.
        text: Its help.
        path: Whether the value is, or may be, a path of the user: ``~`` and ``$VARIABLE`` in it are then expanded when
            it is read, so that nothing behind the door meets the literal one.
        former: Names that the field had in older versions, which are read with a note; with a mapping from the values
            of that time where these have changed too.
        words: Whether the value is running text, a list of its words: commas and spaces in them are then text.
        first: Whether words before the first flag are values of this field (``doctor FILE FILE --language sw``).

    Example:
        >>> from hf_optical.configuration.parsing import parse
        >>> @dataclasses.dataclass
        ... class Options:
        ...     eval: list[str] = option([], "Folders of retrieval sets.")
        >>> parse(Options, [])
        Options(eval=[])
    """
    metadata = {"help": text, "path": path, "first": first, "former": dict(former or {}), "words": words}
    if isinstance(default, list | dict):
        return dataclasses.field(default_factory=lambda: type(default)(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def path_options(dataclass_type: type) -> set[str]:
    """The options of a configuration whose values are paths of the user.

    Example:
        >>> @dataclasses.dataclass
        ... class Options:
        ...     output_dir: str = option("out", "Where.", path=True)
        ...     seed: int = option(0, "Of what is drawn.")
        >>> path_options(Options)
        {'output_dir'}
    """
    return {found.key for found in fields_of(dataclass_type) if found.path}


def help_text(dataclass_type: type) -> str:
    """Every field with its type, default and help.

    Args:
        dataclass_type: The configuration. Where it has ``HEADINGS``, a mapping of field names, the fields from each of
            them on stand under its heading.

    Returns:
        Text for the terminal, one paragraph a field.
    """
    headings = getattr(dataclass_type, "HEADINGS", {})
    lines = [(dataclass_type.__doc__ or "").strip().split("\n")[0], ""]
    lines += ["  --config FILE.yaml", "      Values for the fields below; flags win."]
    for field in fields_of(dataclass_type):
        if field.key == YAML_FLAG:  # a field of that name is the flag above
            continue
        lines += ["", f"{headings[field.key]}:"] if field.key in headings else []
        default = "required" if field.default is None else f"default: {field.default}"
        lines.append(f"  --{field.key}  {describe(field.annotation)}  ({default})")
        lines += [f"      {field.help}"] if field.help else []
    return "\n".join(lines).lstrip("\n") + "\n"


def fields_of(dataclass_type: type, prefix: str = "") -> list[Field]:
    """The fields of a configuration, those of dataclasses in it under dotted keys."""
    hints = get_type_hints(dataclass_type)
    found: list[Field] = []
    for entry in dataclasses.fields(dataclass_type):
        if not entry.init:
            continue
        inner = nested_type(hints[entry.name])
        if inner is not None:
            found += fields_of(inner, f"{prefix}{entry.name}.")
            continue
        default: str | None = None
        if entry.default is not dataclasses.MISSING:
            default = repr(entry.default)
        elif entry.default_factory is not dataclasses.MISSING:
            default = repr(entry.default_factory())
        text = " ".join(str(entry.metadata.get("help", "")).split())
        first, path = bool(entry.metadata.get("first")), bool(entry.metadata.get("path"))
        former = {f"{prefix}{name}": values for name, values in entry.metadata.get("former", {}).items()}
        words = bool(entry.metadata.get("words"))
        found.append(Field(f"{prefix}{entry.name}", hints[entry.name], default, text, first, path, former, words))
    return found
