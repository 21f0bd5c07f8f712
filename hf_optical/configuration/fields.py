"""The fields of a configuration: their names as flags, their help, and the page that lists them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, get_type_hints

from hf_optical.configuration.conversion import describe, nested_type

YAML_FLAG = "config"


@dataclasses.dataclass(frozen=True)
class Field:
    """One field of a configuration, with what :func:`option` says of it.

    Attributes:
        key: Its name, dotted for a field of a nested dataclass.
        annotation: Its type.
        default: Its default as text; ``None`` for a required field.
        mapping: Help of the nested dataclass that it belongs to.
    """

    key: str
    annotation: Any
    default: str | None
    help: str
    first: bool = False
    path: bool = False
    former: Mapping[str, Mapping[str, str] | None] = dataclasses.field(default_factory=dict)
    words: bool = False
    yaml_only: bool = False
    moved: str | None = None
    mapping: str = ""


def option(
    default: Any = dataclasses.MISSING,
    text: str = "",
    *,
    path: bool = False,
    first: bool = False,
    former: Mapping[str, Mapping[str, str] | None] | None = None,
    words: bool = False,
    yaml_only: bool = False,
    moved: str | None = None,
) -> Any:
    """Make a field of a configuration: its default, which may be a list, and its help.

    Args:
        default: Its value if none is given; without a default the field is required.
        text: Its help.
        path: Whether the value is, or may be, a path of the user, in which ``~`` and ``$VARIABLE`` are expanded.
        former: Names of the field in older versions, which are read with a note; with a mapping from old to new values
            if these have changed too.
        words: Whether the value is running text, in which commas and spaces do not separate items.
        first: Whether words before the first flag are values of this field (``doctor FILE FILE --language sw``).
        yaml_only: Whether the help lists the field among the keys of the YAML file, because it is rarely set.
        moved: Command that has the option now. The help does not list it, and a note names that command.

    Example:
        >>> from hf_optical.configuration.parsing import parse
        >>> @dataclasses.dataclass
        ... class Options:
        ...     eval: list[str] = option([], "Folders of retrieval sets.")
        >>> parse(Options, [])
        Options(eval=[])
    """
    metadata = {"help": text, "path": path, "first": first, "former": dict(former or {}), "words": words}
    metadata |= {"yaml_only": yaml_only, "moved": moved}
    if isinstance(default, list | dict):
        return dataclasses.field(default_factory=lambda: type(default)(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def path_options(dataclass_type: type) -> set[str]:
    """Return the options of a configuration whose values are paths of the user.

    Example:
        >>> @dataclasses.dataclass
        ... class Options:
        ...     output_dir: str = option("out", "Output folder.", path=True)
        ...     seed: int = option(0, "Random seed.")
        >>> path_options(Options)
        {'output_dir'}
    """
    return {found.key for found in fields_of(dataclass_type) if found.path}


def help_text(dataclass_type: type) -> str:
    """Format every field with its type, default and help.

    Args:
        dataclass_type: The configuration. If it has ``HEADINGS``, a mapping of field names to headings, each heading is
            put before its field. Fields that are rarely set follow under a heading of their own.

    Returns:
        Text for the terminal, one paragraph per field; a nested dataclass is one paragraph.
    """
    headings = getattr(dataclass_type, "HEADINGS", {})
    lines = [(dataclass_type.__doc__ or "").strip().split("\n")[0], ""]
    lines += ["  --config FILE.yaml", "      Values for the fields below; flags win."]
    told: set[str] = set()
    rare = []
    for field in fields_of(dataclass_type):
        if field.key == YAML_FLAG or field.moved:  # a field of the name config is the flag above
            continue
        if field.yaml_only:
            rare += _paragraph(field, field.key)
            continue
        lines += ["", f"{headings[field.key]}:"] if field.key in headings else []
        parent = field.key.rpartition(".")[0]
        if not field.mapping:
            lines += _paragraph(field, f"--{field.key}")
        elif parent not in told:
            told.add(parent)
            lines += [f"  --{parent}.KEY value  (a mapping in YAML)", f"      {field.mapping}"]
    if rare:
        lines += ["", "Rarely set, as keys of the YAML file:", *rare]
    return "\n".join(lines).lstrip("\n") + "\n"


def _paragraph(field: Field, shown: str) -> list[str]:
    default = "required" if field.default is None else f"default: {field.default}"
    return [f"  {shown}  {describe(field.annotation)}  ({default})", *([f"      {field.help}"] if field.help else [])]


def listed_flags(dataclass_type: type) -> list[Field]:
    """Return the fields that the help lists as flags, without those of the YAML file and those that have moved."""
    return [field for field in fields_of(dataclass_type) if not field.yaml_only and not field.moved]


def fields_of(dataclass_type: type, prefix: str = "", mapping: str = "") -> list[Field]:
    """List the fields of a configuration, those of nested dataclasses under dotted keys.

    Args:
        dataclass_type: The configuration.
        prefix: Put before every key.
        mapping: Help of the nested dataclass that is listed.
    """
    hints = get_type_hints(dataclass_type)
    found: list[Field] = []
    for entry in dataclasses.fields(dataclass_type):
        if not entry.init:
            continue
        inner = nested_type(hints[entry.name])
        if inner is not None:
            found += fields_of(inner, f"{prefix}{entry.name}.", _mapping_help(inner))
            continue
        default: str | None = None
        if entry.default is not dataclasses.MISSING:
            default = repr(entry.default)
        elif entry.default_factory is not dataclasses.MISSING:
            default = repr(entry.default_factory())
        text = " ".join(str(entry.metadata.get("help", "")).split())
        found.append(
            Field(
                f"{prefix}{entry.name}",
                hints[entry.name],
                default,
                text,
                first=bool(entry.metadata.get("first")),
                path=bool(entry.metadata.get("path")),
                former=entry.metadata.get("former", {}),
                words=bool(entry.metadata.get("words")),
                yaml_only=bool(entry.metadata.get("yaml_only")),
                moved=entry.metadata.get("moved"),
                mapping=mapping,
            )
        )
    return found


def _mapping_help(inner: type) -> str:
    """Return the help of a nested dataclass that was made for the help, its own docstring."""
    text = (inner.__doc__ or "").strip().split("\n")[0]
    return "" if text.startswith(f"{inner.__name__}(") else text
