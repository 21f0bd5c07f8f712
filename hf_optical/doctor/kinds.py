"""The kinds of defects that the doctor knows: what each means, what to do, and whether cleaning drops such rows."""

from __future__ import annotations

from dataclasses import dataclass

from hf_optical.errors import InputError

__all__ = ["KINDS", "Kind", "bit_of", "chosen_kinds", "kinds_of"]


@dataclass(frozen=True)
class Kind:
    """One kind of defect.

    Attributes:
        name: As in tables, files and options.
        meaning: What is wrong with such a row, in plain words.
        remedy: What the user can do.
        drop: Whether cleaning leaves such rows out unless told otherwise.
    """

    name: str
    meaning: str
    remedy: str
    drop: bool = True


# In the order of severity: of several defects of a row, the first is its reason in lists.
KINDS: tuple[Kind, ...] = (
    Kind("unreadable", "no pair of texts could be read from the row", "correct the file's format"),
    Kind("empty", "a side is empty or shows nothing", "remove the row"),
    Kind("encoding", "a side was decoded wrongly (mojibake, U+FFFD, invalid UTF-8)", "decode the original as UTF-8"),
    Kind("control", "a side holds control characters, bidi overrides or private-use characters", "strip them"),
    Kind("eval_exact", "a side is a query or document of the evaluation set", "remove it, or the scores mean nothing"),
    Kind("eval_near", "a side nearly is, or is part of, a query or document of the evaluation set", "remove the row"),
    Kind("copy", "the translation is the English text, whole or nearly", "remove the row: it teaches nothing"),
    Kind("script", "a side is not written in the script of its language", "check the columns and the language"),
    Kind("language", "a side is in another language", "check the columns and the language"),
    Kind("duplicate", "the pair occurred before, case and punctuation apart", "keep one of them"),
    Kind("overlong", "a side is longer than training reads", "split it: what is cut off is not aligned"),
    Kind("length_ratio", "one side is far too long or short for the other", "check for cut or joined sentences"),
    Kind("misaligned", "the two sides share no more than randomly paired ones", "check that rows did not shift"),
    Kind(
        "teacher", "the model finds the two sides no closer than randomly paired ones", "check that rows did not shift"
    ),
    Kind("number", "the two sides name different numbers", "look at the examples: often a wrong pair", drop=False),
    Kind("near_duplicate", "nearly the same pair occurred before", "keep one where space or time matter", drop=False),
)

_NAMES = tuple(kind.name for kind in KINDS)


def bit_of(name: str) -> int:
    """The bit that stands for a kind in a row's flags.

    Example:
        >>> bit_of("unreadable"), bit_of("encoding")
        (1, 4)
    """
    return 1 << _NAMES.index(name)


def kinds_of(flags: int) -> list[str]:
    """The names of the kinds in a row's flags, most severe first.

    Example:
        >>> kinds_of(bit_of("script") | bit_of("copy"))
        ['copy', 'script']
    """
    return [name for index, name in enumerate(_NAMES) if flags >> index & 1]


def chosen_kinds(names: list[str]) -> int:
    """The flags that cleaning drops: ``[]`` for the default choice, ``["all"]``, ``["none"]``, or names.

    Raises:
        InputError: For a name that is no kind.

    Example:
        >>> kinds_of(chosen_kinds(["copy", "empty"])), chosen_kinds(["none"])
        (['empty', 'copy'], 0)
    """
    if names == ["none"]:
        return 0
    unknown = [name for name in names if name not in _NAMES]
    if unknown and names != ["all"]:
        raise InputError(f"unknown kind of defect {unknown[0]!r}", f"use all, none, or of {', '.join(_NAMES)}")
    wanted = _NAMES if names == ["all"] else names or [kind.name for kind in KINDS if kind.drop]
    return sum(bit_of(name) for name in wanted)
