"""Conversion of configuration values, text or YAML, to the type of an annotation."""

from __future__ import annotations

import dataclasses
import math
import os
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin

__all__ = ["CannotConvert", "convert", "describe", "is_bool", "is_list", "nested_type"]

_TRUE, _FALSE, _NONE = {"true", "yes", "on", "1"}, {"false", "no", "off", "0"}, {"none", "null", "~", ""}
_ITEM_REMEDY = "correct the value"


class CannotConvert(Exception):
    """Error raised if a value does not have the expected type.

    Args:
        value: The value that was found.
        expected: Description of what was expected.
        remedy: What the user can do.
    """

    def __init__(self, value: Any, expected: str, remedy: str = _ITEM_REMEDY) -> None:
        super().__init__(f"not {expected}")
        self.value, self.expected, self.remedy = value, expected, remedy


def _members(annotation: Any) -> tuple[Any, ...]:
    """Return the members of a union without None, or the annotation itself."""
    if get_origin(annotation) in (Union, types.UnionType):
        return tuple(member for member in get_args(annotation) if member is not type(None))
    return (annotation,)


def _is_optional(annotation: Any) -> bool:
    return get_origin(annotation) in (Union, types.UnionType) and type(None) in get_args(annotation)


def is_list(annotation: Any) -> bool:
    """Return whether a field takes several values: a list, a variadic tuple, a sequence or a mapping."""
    return any(_is_sequence(member) or _is_mapping(member) for member in _members(annotation))


def _is_sequence(annotation: Any) -> bool:
    return (get_origin(annotation) or annotation) in (list, tuple, Sequence)


def _is_mapping(annotation: Any) -> bool:
    return (get_origin(annotation) or annotation) is dict


def is_bool(annotation: Any) -> bool:
    """Return whether a field is a switch, so that its flag needs no value."""
    return bool in _members(annotation)


def nested_type(annotation: Any) -> type | None:
    """Return the dataclass that a field holds, or None."""
    members = _members(annotation)
    if len(members) == 1 and isinstance(members[0], type) and dataclasses.is_dataclass(members[0]):
        return members[0]
    return None


def describe(annotation: Any) -> str:
    """Describe an annotation in words.

    Example:
        >>> describe(list[int]), describe(float | None), describe(Literal["ot", "mse"])
        ('list of int', 'float or none', "one of 'ot', 'mse'")
    """
    if get_origin(annotation) is Literal:
        return f"one of {', '.join(repr(choice) for choice in get_args(annotation))}"
    if _is_optional(annotation) or len(_members(annotation)) > 1:
        words = [describe(member) for member in _members(annotation)]
        return " or ".join([*words, "none"] if _is_optional(annotation) else words)
    if _is_sequence(annotation):
        return f"list of {describe(_item_type(annotation))}"
    if _is_mapping(annotation):
        return f"mapping to {describe(_value_type(annotation))}"
    words_of = {str: "text", Any: "anything", Path: "path"}
    return words_of.get(annotation) or str(getattr(annotation, "__name__", annotation))


def _item_type(annotation: Any) -> Any:
    arguments = [argument for argument in get_args(annotation) if argument is not Ellipsis]
    return arguments[0] if arguments else str


def _value_type(annotation: Any) -> Any:
    arguments = get_args(annotation)
    return arguments[1] if len(arguments) == 2 else str


def convert(value: Any, annotation: Any, *, words: bool = False) -> Any:
    """Turn a value into the type of an annotation.

    Args:
        value: A YAML value or a word of the command line; for a field of several values, its words.
        annotation: ``str``, ``int``, ``float``, ``bool``, ``Path``, ``Literal``; ``list``, ``tuple``, ``dict`` of
            these; unions of these, with or without None; ``Any``.
        words: Whether the value comes from the command line and is text.

    Returns:
        The converted value.

    Raises:
        CannotConvert: If the value cannot be converted.

    Example:
        >>> convert("1e-4", float), convert("none", int | None), convert(["sw,so", "tl"], list[str], words=True)
        (0.0001, None, ['sw', 'so', 'tl'])
    """
    if annotation is Any:
        return value
    members = _members(annotation)
    if _is_optional(annotation) and _means_none(value):
        return None
    for member in members:
        try:
            return _convert_one(value, member, words)
        except CannotConvert as error:
            if len(members) == 1:
                raise CannotConvert(error.value, describe(annotation), error.remedy) from None
    raise CannotConvert(value, describe(annotation))


def _means_none(value: Any) -> bool:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value is None or (isinstance(value, str) and value.strip().casefold() in _NONE)


def _convert_one(value: Any, annotation: Any, words: bool) -> Any:
    if get_origin(annotation) is Literal:
        return _choice(value, annotation)
    if _is_sequence(annotation):
        items = [convert(item, _item_type(annotation), words=words) for item in _items(value, annotation, words)]
        return tuple(items) if (get_origin(annotation) or annotation) is tuple else items
    if _is_mapping(annotation):
        return {key: convert(item, _value_type(annotation)) for key, item in _entries(value, annotation).items()}
    convert_scalar = {bool: _bool, int: _int, float: _float, str: _text, Path: _path}.get(annotation)
    if convert_scalar is not None:
        return convert_scalar(value)
    if isinstance(annotation, type) and isinstance(value, annotation):
        return value
    raise CannotConvert(value, describe(annotation))


def _items(value: Any, annotation: Any, words: bool) -> list[Any]:
    if isinstance(value, str):
        value, words = [value], True
    if not isinstance(value, list):
        raise CannotConvert(value, describe(annotation))
    return [part for word in value for part in _parts(word)] if words else value


def _parts(word: str) -> list[str]:
    """Split a word at commas and spaces, unless it (or the part after ``name=``) is a file."""
    if any(part and os.path.exists(os.path.expanduser(part)) for part in (word, word.partition("=")[2])):
        return [word]
    return word.replace(",", " ").split()


def _entries(value: Any, annotation: Any) -> dict[str, Any]:
    """Read a YAML mapping, or words like ``sw=1,so=2``."""
    if isinstance(value, dict):
        return {str(key): item for key, item in value.items()}
    pairs = [part.partition("=") for part in _items(value, annotation, True)]
    if not all(equals for _, equals, _ in pairs):
        raise CannotConvert(value, describe(annotation), "write key=value, several joined by commas")
    return {key: item for key, _, item in pairs}


def _choice(value: Any, annotation: Any) -> Any:
    for choice in get_args(annotation):
        if value == choice and type(value) is type(choice):
            return choice
        if isinstance(value, str) and value == str(choice):
            return choice
    raise CannotConvert(value, describe(annotation))


def _bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    folded = value.strip().casefold() if isinstance(value, str) else None
    if folded in _TRUE:
        return True
    if folded in _FALSE:
        return False
    raise CannotConvert(value, "bool", "write true or false")


def _int(value: Any) -> int:
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            value_as_float = _float(value)
            if value_as_float.is_integer():
                return int(value_as_float)
    elif isinstance(value, int) and not isinstance(value, bool):
        return value
    elif isinstance(value, float) and value.is_integer():
        return int(value)
    raise CannotConvert(value, "int", "write a whole number")


def _float(value: Any) -> float:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            raise CannotConvert(value, "float", "write a number such as 0.5 or 1e-4") from None
        if not math.isnan(number):
            return number
    raise CannotConvert(value, "float", "write a number such as 0.5 or 1e-4")


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise CannotConvert(value, "text", "put it in quotes if it is meant as text")


def _path(value: Any) -> Path:
    return Path(_text(value))
