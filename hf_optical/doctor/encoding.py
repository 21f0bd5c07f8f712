"""Detection of texts that were decoded with a wrong character encoding."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.util import find_spec

from hf_optical.data.texts import text_fault

__all__ = ["can_repair", "encoding_fault"]

# Letters lost by conversion to a smaller character set: question marks inside words, or words of question marks only.
_LOST = re.compile(r"(?<=[^\W\d_])\?+(?=[^\W\d_])|(?:^|(?<=\s))\?{2,}(?=\s)")
_LEAST_LOST = 3
# A lead byte of UTF-8 decoded as a letter, followed by a continuation byte decoded as a sign (Latin-1, Windows-1252).
_TAILS = "\x80-\xbf" + bytes(range(0x80, 0xA0)).decode("cp1252", "ignore")
_SUSPECT = re.compile(f"[\xc2-\xf4][{_TAILS}]")


@lru_cache(maxsize=1)
def can_repair() -> bool:
    """Return whether ftfy is installed, which distinguishes mojibake from text."""
    return find_spec("ftfy") is not None


def encoding_fault(text: str) -> str | None:
    r"""Describe the sign that a text was decoded wrongly; ``None`` if there is none.

    Mojibake is found by ``ftfy`` (https://ftfy.readthedocs.io). Without this package only U+FFFD, invalid UTF-8 and
    letters that became question marks are found.

    Example:
        >>> encoding_fault("caf\ufffd"), encoding_fault("Où est le café ?")
        ('holds U+FFFD, a character that could not be decoded', None)
    """
    fault = text_fault(text)
    if fault is not None and "UTF-8" in fault:
        return fault
    if "\ufffd" in text:
        return "holds U+FFFD, a character that could not be decoded"
    if text.count("?") >= _LEAST_LOST and len(_LOST.findall(text)) >= _LEAST_LOST:
        return "letters were replaced by question marks"
    if _SUSPECT.search(text) and can_repair():
        import ftfy

        repaired = ftfy.fix_encoding(text)
        if repaired != text and "\ufffd" not in repaired:
            return f"is mojibake of {repaired[:40]!r}"
    return None
