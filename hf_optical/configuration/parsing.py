"""Configuration of a command: a dataclass filled from a YAML file and from flags, which win.

Nothing is guessed. An unknown key is refused, and the message names a known one that is near. Every value is converted
by the annotation of its field: ``1e-4``, which YAML 1.1 reads as text, becomes a float for a float field, and ``no``,
which it reads as false, is refused for a language code.
"""

from __future__ import annotations

import dataclasses
import difflib
import errno
import gc
import logging
import os
import reprlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar, get_type_hints

from hf_optical.configuration.conversion import CannotConvert, convert, is_bool, is_list, nested_type
from hf_optical.configuration.fields import YAML_FLAG, Field, fields_of, help_text, option, path_options
from hf_optical.configuration.yaml_mapping import read_mapping
from hf_optical.data.texts import excerpt
from hf_optical.errors import HFOpticalError, InputError, is_out_of_memory, message
from hf_optical.places import expanded, user_path

__all__ = ["help_text", "option", "parse", "path_options", "run"]

logger = logging.getLogger(__name__)

T = TypeVar("T")
_SMALLER = "fewer pairs or documents at a time, a smaller vocabulary or model, or a machine with more memory"


def parse(dataclass_type: type[T], argv: Sequence[str] | None = None) -> T:
    """Fill a dataclass from ``--config X.yaml`` and flags.

    Args:
        dataclass_type: The configuration. The metadata of a field hold its help and whether it is a path (see
            :func:`option`). A field whose type is a dataclass is a mapping in YAML and has dotted flags
            (``--optimizer.lr 1e-4``).
        argv: The arguments (default: those of the process). ``--flag value`` or ``--flag=value``, with underscores or
            hyphens. A boolean may be ``--flag`` alone. A list is a repeated flag, several values, or values joined by
            commas or spaces (in YAML a list, whose items are not split). ``none`` stands for None.

    Returns:
        The instance.

    Raises:
        InputError: A key is unknown, a value has another type, a required field has no value, or the file does not
            exist or is not a YAML mapping; the message names key, value and expectation.
        SystemExit: With code 0 after ``--help``.

    Example:
        >>> @dataclasses.dataclass
        ... class Options:
        ...     seed: int = 0
        ...     eval: list[str] = dataclasses.field(default_factory=list)
        >>> parse(Options, ["--seed", "3", "--eval", "a,b", "--eval=c"])
        Options(seed=3, eval=['a', 'b', 'c'])
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if any(argument in ("-h", "--help") for argument in arguments):
        sys.stdout.write(help_text(dataclass_type))
        raise SystemExit(0)
    options = {option.key: option for option in fields_of(dataclass_type)}
    flags = _read_flags(_with_first(arguments, options), options)
    files = flags.pop(YAML_FLAG, [])
    if len(files) > 1:
        raise InputError(f"found {len(files)} configuration files", "give --config once", field="--config")
    file = user_path(files[0]) if files else None
    values = _yaml_values(read_mapping(file), "", options, file) if file is not None else {}
    for key, words in flags.items():
        values[key] = _converted(words, options[key], origin=None)
    return _build(dataclass_type, values, "")


def run(main: Callable[[T], object], dataclass_type: type[T], argv: Sequence[str] | None = None) -> NoReturn:
    """Run the ``main`` of a command and exit; errors become exit codes here.

    Args:
        main: Function of the configuration; an integer that it returns is the exit code.
        dataclass_type: As in :func:`parse`.
        argv: As in :func:`parse`.

    Raises:
        SystemExit: 0 after success; 2 after an :class:`HFOpticalError`, a fault of the machine (``OSError``) or memory
            that ran out, as ``error: ...`` on standard error (its traceback is logged at level DEBUG); 130 after
            Ctrl-C. Any other exception is a defect and is raised.
    """
    try:
        code = main(parse(dataclass_type, argv))
    except HFOpticalError as error:
        logger.debug("traceback of the error below", exc_info=True)
        # Printed by one process only, except that memory may run out on any of them.
        if int(os.environ.get("RANK", "0")) == 0 or isinstance(error, MemoryError):
            sys.stderr.write(f"error: {error}\n")
        raise SystemExit(2) from None
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        logger.debug("traceback of the error below", exc_info=True)
        sys.stderr.write(f"error: {message(error, 'outside the training', [_SMALLER])}\n")
        raise SystemExit(2) from None
    except OSError as error:  # a fault of the machine, such as a full disk or a folder that cannot be written
        logger.debug("traceback of the error below", exc_info=True)
        sys.stderr.write(f"error: {_machine_fault(error)}\n")
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        raise SystemExit(130) from None
    _leave_processes()
    raise SystemExit(code if isinstance(code, int) else 0)


def _leave_processes() -> None:
    """Free the objects of a training, then the process group; in the other order gloo may hang or abort."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        gc.collect()
        distributed.destroy_process_group()


def _machine_fault(error: OSError) -> str:
    remedies = {
        errno.ENOSPC: "free some disk space, or choose another --output_dir",
        errno.EDQUOT: "free some disk space, or choose another --output_dir",
        errno.EROFS: "choose another --output_dir, because this one cannot be written",
        errno.EACCES: "choose a folder that you may write to, or ask for the permission",
        errno.EPERM: "choose a folder that you may write to, or ask for the permission",
    }
    place = f"{error.filename}: " if error.filename else ""
    remedy = remedies.get(error.errno or 0, "check the path")
    return f"{place}{error.strerror or error}. Remedy: {remedy}"


def _with_first(arguments: list[str], options: dict[str, Field]) -> list[str]:
    """Turn ``WORD… --flag`` into ``--field WORD… --flag`` if a field takes the first words."""
    field = next((option.key for option in options.values() if option.first), None)
    takes = field is not None and arguments and not arguments[0].startswith("-")
    return [f"--{field}", *arguments] if takes else arguments


def _read_flags(arguments: list[str], options: dict[str, Field]) -> dict[str, list[str]]:
    """Read flags and their words in order; only lists may be repeated."""
    found: dict[str, list[str]] = {}
    index = 0
    while index < len(arguments):
        argument = arguments[index]
        if not argument.startswith("--") or argument == "--":
            raise InputError(f"found {argument!r} where a flag is expected", "write --flag value")
        name, equals, inline = argument[2:].partition("=")
        key = name.replace("-", "_")
        former, key = key, _current_name(key, options)
        _require_known(key, options, f"--{name}", flag=True)
        index += 1
        words = [inline] if equals else []
        while not equals and index < len(arguments) and not arguments[index].startswith("--"):
            words.append(arguments[index])
            index += 1
        words = [_current_value(former, word, options) for word in words]
        _require_count(key, words, options, repeated=key in found)
        found.setdefault(key, []).extend(words)
    return found


def _current_name(key: str, options: dict[str, Field]) -> str:
    """Return the current name of an option, with a note on standard error if it was renamed or has moved."""
    for field in options.values():
        if key in field.former:
            sys.stderr.write(f"note: the option {key} is now called {field.key}; write that in its place\n")
            key = field.key
        if key == field.key and field.moved:
            sys.stderr.write(f"note: the option {key} belongs to the command {field.moved} now\n")
        if key == field.key:
            return key
    return key


def _current_value(former: str, value: Any, options: dict[str, Field]) -> Any:
    """Return the current value of an option that was given under a former name."""
    for field in options.values():
        values = field.former.get(former)
        if values is not None:
            return values.get(str(value).lower(), value)
    return value


def _require_count(key: str, words: list[str], options: dict[str, Field], *, repeated: bool) -> None:
    if key == YAML_FLAG:
        listed, alone = False, False
    else:
        listed, alone = is_list(options[key].annotation), is_bool(options[key].annotation)
    if repeated and not listed and key != YAML_FLAG:
        raise InputError("the flag is given twice", "give it once; only lists may be repeated", field=f"--{key}")
    if not words and not alone:
        raise InputError("the flag has no value", "write --flag value", field=f"--{key}")
    if len(words) > 1 and not listed:
        problem = f"found {len(words)} values ({' '.join(words)}) where one is expected"
        raise InputError(problem, "put a value that has spaces in quotes", field=f"--{key}")


def _require_known(key: Any, options: dict[str, Field], shown: str, *, flag: bool, path: Path | None = None) -> None:
    known = [*options, YAML_FLAG] if flag else list(options)
    if key in known:
        return
    near = difflib.get_close_matches(str(key), known, n=1)
    dashes = "--" if flag else ""
    remedy = f"did you mean {dashes}{near[0]}? --help lists all" if near else "leave it out; --help lists the options"
    raise InputError(f"unknown option {shown}", remedy, path=path)


def _yaml_values(content: dict[Any, Any], prefix: str, options: dict[str, Field], path: Path) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in content.items():
        key = f"{prefix}{name}"
        nested = any(known.startswith(f"{key}.") for known in options)
        if nested and isinstance(value, dict):
            values.update(_yaml_values(value, f"{key}.", options, path))
            continue
        if nested:
            raise InputError(
                f"found {_shown(value)} where a mapping is expected", "write its fields", path=path, field=key
            )
        former, key = key, _current_name(key, options)
        value = _current_value(former, value, options)
        _require_known(key if isinstance(name, str) else name, options, repr(key), flag=False, path=path)
        if key in values:
            raise InputError(f"is given twice, also as {former!r}", "keep one of them", path=path, field=key)
        values[key] = _converted(value, options[key], origin=path)
    return values


def _converted(value: Any, option: Field, origin: Path | None) -> Any:
    """Convert a YAML value, or the words of a flag (``origin`` None), to the type of its field."""
    found = value
    if origin is None and not is_list(option.annotation):
        found = value[0] if value else "true"
    if option.words and isinstance(found, str):
        found = [found]
    shown = option.key if origin else f"--{option.key}"
    try:
        converted = convert(found, option.annotation, words=origin is None and not option.words)
    except CannotConvert as error:
        raise InputError(
            f"found {_shown(error.value)} ({type(error.value).__name__}), expected {error.expected}",
            error.remedy,
            path=origin,
            field=shown,
        ) from None
    if not option.path:
        return converted
    try:
        return expanded(converted)
    except InputError as error:
        raise InputError(f"{error.path}: {error.problem}", error.remedy, path=origin, field=shown) from None


def _shown(value: Any) -> str:
    """Quote a value briefly, even one that YAML aliases expand to gigabytes."""
    if isinstance(value, str):
        return excerpt(value, 200)
    shortener = reprlib.Repr()
    shortener.maxlevel, shortener.maxlist, shortener.maxdict, shortener.maxother = 3, 4, 4, 60
    return shortener.repr(value)[:200]


def _build(dataclass_type: type[T], values: dict[str, Any], prefix: str) -> T:
    hints = get_type_hints(dataclass_type)
    missing = [o.key for o in fields_of(dataclass_type, prefix) if o.default is None and o.key not in values]
    if missing:
        raise InputError(
            f"no value for {', '.join(missing)}",
            f"give {' and '.join(f'--{key}' for key in missing)}, or set it in YAML",
        )
    arguments: dict[str, Any] = {}
    for entry in dataclasses.fields(dataclass_type):  # type: ignore[arg-type]
        key = f"{prefix}{entry.name}"
        inner = nested_type(hints[entry.name])
        if inner is not None and any(name.startswith(f"{key}.") for name in values):
            arguments[entry.name] = _build(inner, values, f"{key}.")
        elif key in values:
            arguments[entry.name] = values[key]
    try:
        return dataclass_type(**arguments)
    except HFOpticalError:
        raise
    except (TypeError, ValueError) as error:
        raise InputError(str(error), "correct the configuration") from error
