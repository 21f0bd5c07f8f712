"""Identification of the script of texts."""

from __future__ import annotations

from collections.abc import Sequence

import regex

from hf_optical.data.languages import known_codes

__all__ = ["usual_script"]


def usual_script(texts: Sequence[str]) -> str | None:
    """Return the ISO 15924 code of the most frequent script, among those of FLORES-200; ``None`` without letters.

    Example:
        >>> usual_script(["добар дан", "Beograd"]), usual_script(["12"])
        ('Cyrl', None)
    """
    joined = " ".join(texts)
    scripts = sorted({code[4:] for code in known_codes()} - {"Hans", "Hant", "Jpan", "Kore"} | {"Hani", "Hang", "Nkoo"})
    counts = {script: len(regex.findall(rf"\p{{Script={script}}}", joined)) for script in scripts}
    best = max(counts, key=lambda script: counts[script])
    return best if counts[best] else None
