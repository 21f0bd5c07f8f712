"""Comparison of the numbers in the two sides of a pair."""

from __future__ import annotations

import re
from collections import Counter

__all__ = ["number_mismatch"]

_NUMBER = re.compile(r"\d+(?:[.,\u066c\u00a0\u202f]\d{3})*(?!\d)")
_SEPARATORS = re.compile(r"\D")


def number_mismatch(source: str, translation: str) -> str | None:
    """Describe the numbers that differ if each side has a number that the other lacks; otherwise return ``None``.

    Digits of all scripts are read, and thousands separators are ignored. If only one side has a further number, this is
    not a mismatch, because the other side may spell it out.

    Example:
        >>> number_mismatch("1,500 people in 1998", "watu 1500 mwaka 1989")
        '1998 against 1989'
        >>> number_mismatch("3 goats", "mbuzi watatu"), number_mismatch("४५ लोग", "45 people")
        (None, None)
    """
    written = _NUMBER.findall(source), _NUMBER.findall(translation)
    if written[0] == written[1]:
        return None
    left, right = map(_values, written)
    only_left, only_right = left - right, right - left
    if not only_left or not only_right:
        return None
    return f"{_listed(only_left)} against {_listed(only_right)}"


def _values(written: list[str]) -> Counter[int]:
    """Count the values of numbers in their written form."""
    # Longer numbers are identifiers, of which the first 20 digits suffice for the comparison.
    return Counter(int(_SEPARATORS.sub("", number)[:20]) for number in written)


def _listed(numbers: Counter[int]) -> str:
    shown = [str(number) for number in sorted(numbers)[:4]]
    return ", ".join(shown) + (", …" if len(numbers) > 4 else "")
