"""Checks of arguments that losses, training arguments and others share."""

from __future__ import annotations

from collections.abc import Collection

from hf_optical.errors import InputError


def check_choice(name: str, value: str, choices: Collection[str]) -> None:
    """Stop at a value that is none of the choices.

    Args:
        name: The argument.
        value: What was given.
        choices: What may be given.

    Raises:
        InputError: It is none of them.

    Example:
        >>> check_choice("objective", "nse", ("triplet", "nce"))
        Traceback (most recent call last):
        hf_optical.errors.InputError: field 'objective': is 'nse'. Remedy: use one of triplet, nce.
    """
    if value not in choices:
        raise InputError(f"is {value!r}", f"use one of {', '.join(choices)}", field=name)


def check_positive(name: str, value: float) -> None:
    """Stop at a value that is not above 0, NaN among them.

    Args:
        name: The argument.
        value: What was given.

    Raises:
        InputError: It is not above 0.

    Example:
        >>> check_positive("temperature", 0)
        Traceback (most recent call last):
        hf_optical.errors.InputError: field 'temperature': is 0. Remedy: give a positive number.
    """
    if not value > 0:
        raise InputError(f"is {value}", "give a positive number", field=name)
