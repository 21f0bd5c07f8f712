"""Do the two sides name the same numbers?"""

from __future__ import annotations

import re
from collections import Counter

__all__ = ["number_mismatch"]

_NUMBER = re.compile(r"\d+(?:[.,\u066c\u00a0\u202f]\d{3})*(?!\d)")
_SEPARATORS = re.compile(r"\D")


def number_mismatch(source: str, translation: str) -> str | None:
    """Say which numbers differ, where each side has one that the other lacks.

    Digits of any script count, thousands separators do not. A number that only one side has may be spelt out on the
    other and is no mismatch; so is a time of day, which Swahili counts from six o'clock.

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
    # Twenty digits are an identifier; what is cut off changes nothing about a mismatch.
    return Counter(int(_SEPARATORS.sub("", number)[:20]) for number in written)


def _listed(numbers: Counter[int]) -> str:
    shown = [str(number) for number in sorted(numbers)[:4]]
    return ", ".join(shown) + (", …" if len(numbers) > 4 else "")
