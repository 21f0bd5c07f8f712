"""Fallback adapter for a language without its own: the same language in another script, or the same macro-language.

The macro-languages are those of ISO 639-3 (SIL, "Macrolanguage Mappings") that have several members in FLORES-200, and
the withdrawn ``hbs`` (Serbo-Croatian).
"""

from __future__ import annotations

from collections.abc import Collection

from hf_optical.data.languages import known_codes

MACRO_LANGUAGES: dict[str, tuple[str, ...]] = {
    "aka": ("aka", "twi"),
    "ara": ("arb", "acm", "acq", "aeb", "ajp", "apc", "ars", "ary", "arz"),
    "aze": ("azj", "azb"),
    "fas": ("pes", "prs"),
    "hbs": ("srp", "hrv", "bos"),
    "kur": ("kmr", "ckb"),
    "lav": ("lvs", "ltg"),
    "msa": ("zsm", "ind", "min", "bjn"),
    "nor": ("nob", "nno"),
    "zho": ("zho", "yue"),
}
"""ISO 639-3 macro-languages and their members in FLORES-200, the standard language first."""


def nearest(language: str, available: Collection[str]) -> str | None:
    """Return the nearest of the available languages, or ``None`` if none is near.

    The same language in another script comes first, then the members of its macro-language in the order of
    :data:`MACRO_LANGUAGES`, those in the same script before others.

    Args:
        language: A FLORES code.
        available: FLORES codes from which to choose.

    Example:
        >>> nearest("ary_Arab", ["swh_Latn", "arb_Arab"]), nearest("swh_Latn", ["arb_Arab"])
        ('arb_Arab', None)
    """
    if language in available:
        return language
    own = language[:3]
    members = next((group for group in MACRO_LANGUAGES.values() if own in group), (own,))
    order = [own, *(member for member in members if member != own)]
    candidates = [code for member in order for code in known_codes() if code[:3] == member and code in available]
    return min(
        candidates,
        key=lambda code: (order.index(code[:3]) > 0, code[4:] != language[4:], order.index(code[:3])),
        default=None,
    )
