"""Kinds of defects: the meaning of each, its remedy, and whether cleaning drops such rows."""

from __future__ import annotations

from dataclasses import dataclass

from hf_optical.errors import InputError

__all__ = ["KINDS", "Kind", "bit_of", "chosen_kinds", "kinds_of"]


@dataclass(frozen=True)
class Kind:
    """Kind of defect.

    Attributes:
        name: Name in tables, files and options.
        meaning: Description of the defect.
        remedy: What the user can do.
        drop: Whether cleaning drops such rows by default.
    """

    name: str
    meaning: str
    remedy: str
    drop: bool = True


# The most severe kinds come first. If a row has several defects, it is counted as dropped for the most severe one.
KINDS: tuple[Kind, ...] = (
    Kind("unreadable", "no pair of texts could be read from the row", "correct the file's format"),
    Kind("empty", "a side is empty or has no visible characters", "remove the row"),
    Kind("encoding", "a side was decoded wrongly (mojibake, U+FFFD, invalid UTF-8)", "decode the original as UTF-8"),
    Kind("control", "a side holds control characters, bidi overrides or private-use characters", "strip them"),
    Kind(
        "eval_exact",
        "a side is a query or document of the evaluation set",
        "remove the row; otherwise scores on the set mean nothing",
    ),
    Kind("eval_near", "a side nearly is, or is part of, a query or document of the evaluation set", "remove the row"),
    Kind("copy", "the translation is all or most of the English text", "remove the row, which teaches nothing"),
    Kind("script", "a side is not written in the script of its language", "check the columns and the language"),
    Kind("language", "a side is in another language", "check the columns and the language"),
    Kind("duplicate", "the pair occurred before, except for case and punctuation", "keep one of them"),
    Kind("overlong", "a side is longer than training reads", "split the row, because texts are truncated in training"),
    Kind("length_ratio", "one side is far too long or short for the other", "check for cut or joined sentences"),
    Kind("misaligned", "the two sides share no more than randomly paired ones", "check that rows did not shift"),
    Kind(
        "teacher", "the model finds the two sides no closer than randomly paired ones", "check that rows did not shift"
    ),
    Kind(
        "number",
        "the two sides have different numbers",
        "look at the examples; often the pair is wrong",
        drop=False,
    ),
    Kind("near_duplicate", "nearly the same pair occurred before", "keep one if time or space matter", drop=False),
)

_NAMES = tuple(kind.name for kind in KINDS)


def bit_of(name: str) -> int:
    """Return the bit of a kind in a row's flags.

    Example:
        >>> bit_of("unreadable"), bit_of("encoding")
        (1, 4)
    """
    return 1 << _NAMES.index(name)


def kinds_of(flags: int) -> list[str]:
    """Return the names of the kinds in a row's flags, the most severe first.

    Example:
        >>> kinds_of(bit_of("script") | bit_of("copy"))
        ['copy', 'script']
    """
    return [name for index, name in enumerate(_NAMES) if flags >> index & 1]


def chosen_kinds(names: list[str]) -> int:
    """Return the bits of the kinds that cleaning drops.

    Args:
        names: Names of kinds, ``["all"]`` or ``["none"]``; ``[]`` for the default.

    Raises:
        InputError: A name is not that of a kind.

    Example:
        >>> kinds_of(chosen_kinds(["copy", "empty"])), chosen_kinds(["none"])
        (['empty', 'copy'], 0)
    """
    if names == ["none"]:
        return 0
    unknown = [name for name in names if name not in _NAMES]
    if unknown and names != ["all"]:
        raise InputError(f"unknown kind of defect {unknown[0]!r}", f"use all, none, or some of {', '.join(_NAMES)}")
    wanted = _NAMES if names == ["all"] else names or [kind.name for kind in KINDS if kind.drop]
    return sum(bit_of(name) for name in wanted)
