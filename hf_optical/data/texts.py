"""Checks of texts, their normalisation, and their quotation in messages."""

from __future__ import annotations

import unicodedata

__all__ = ["BLANK_LETTERS", "excerpt", "is_blank", "one_form", "text_fault"]

BLANK_LETTERS = frozenset("\u115f\u1160\u3164\uffa0\u2800\u034f\u180b\u180c\u180d\ufe00\ufe0f")
"""Letters and marks that Unicode classifies as visible but that show nothing, such as Hangul fillers."""


def excerpt(value: object, width: int = 60) -> str:
    """Quote a value for a message, cut to ``width`` characters.

    Example:
        >>> excerpt("x" * 80, width=10)
        "'xxxxxxx…'"
    """
    text = repr(value)
    if len(text) <= width:
        return text
    return f"{text[: width - 2]}…{text[0] if isinstance(value, str) else ''}"


def one_form(text: str) -> str:
    """Convert a text to Unicode's normal form NFC, in which equal letters are equal characters.

    All texts that are read are converted: pairs, lexicons, queries, documents, prompts. Tokenizers of grown students do
    the same. Joiners, apostrophes and compatibility letters are not changed, because they carry meaning (see the table
    in ``docs/troubleshooting.md``).

    Example:
        >>> one_form("o\u0323mo\u0323") == "\u1ecdm\u1ecd", one_form("\ufb01 \u02bc \u200d") == "\ufb01 \u02bc \u200d"
        (True, True)
    """
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def shortened(text: str, width: int) -> str:
    """Put a text on one line and cut it after the last word that fits into ``width`` characters.

    Example:
        >>> shortened("The goat sleeps  under a tree.", 20), shortened("short", 20)
        ('The goat sleeps…', 'short')
    """
    line = " ".join(text.split())
    if len(line) <= width:
        return line
    start, space, _ = line[: width - 1].rpartition(" ")
    return (start if space else line[: width - 1]) + "…"


def text_fault(value: object) -> str | None:
    """Check whether a value can be used as a text.

    Args:
        value: Any value of a cell.

    Returns:
        The problem and what was found, or ``None`` for a string with at least one visible character.

    Example:
        >>> text_fault("Habari"), text_fault(" \u200b "), text_fault(3)
        (None, 'the text has only invisible characters (U+0020 U+200B U+0020)', 'found 3 (int) where text is expected')
    """
    if not isinstance(value, str):
        return (
            "found null" if value is None else f"found {excerpt(value)} ({type(value).__name__}) where text is expected"
        )
    if "\0" in value:
        return f"found a NUL character (at character {value.index(chr(0)) + 1}): a damaged file, or UTF-16"
    if not value.isascii():
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            unit = ord(value[error.start])
            what = f"byte 0x{unit - 0xDC00:02X}" if 0xDC80 <= unit <= 0xDCFF else f"lone surrogate U+{unit:04X}"
            return f"found invalid UTF-8 ({what} at character {error.start + 1})"
    if not is_blank(value):
        return None
    if not value or value.isspace():
        return f"the text is empty (found {excerpt(value)})"
    shown = " ".join(f"U+{ord(character):04X}" for character in value[:4])
    return f"the text has only invisible characters ({shown}{' …' if len(value) > 4 else ''})"


def is_blank(text: str) -> bool:
    """Return whether a text is empty or has only spaces, control and format characters and blank letters.

    Example:
        >>> is_blank("\u3164\ufeff"), is_blank("ሀ")
        (True, False)
    """
    # A fast path: nearly every text has a visible letter or digit among its first characters.
    if any(character.isalnum() and character not in BLANK_LETTERS for character in text[:16]):
        return False
    return all(character in BLANK_LETTERS or unicodedata.category(character)[0] in "CZ" for character in text)
