"""Language codes: whatever people write at the door, FLORES-200 codes inside.

The table ``languages.tsv`` holds the 204 languages of FLORES-200 (NLLB Team, 2022, "No Language Left Behind",
arXiv:2207.04672, table 1), with their ISO 639-1 code, the other codes people use for them (ISO 639-2/B, macro-languages
such as ``swa`` for ``swh``) and their English name. Of several scripts of one language, the first row is the default.
"""

from __future__ import annotations

import csv
import difflib
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from hf_optical.errors import InputError

__all__ = [
    "ENGLISH",
    "UnknownLanguageError",
    "find_language",
    "iso_code",
    "known_codes",
    "language_name",
    "normalize",
    "script_of",
]

ENGLISH = "eng_Latn"

# BCP 47 regions that imply the script of written Chinese (CLDR likely subtags).
_REGION_SCRIPTS = {("zho", "TW"): "Hant", ("zho", "HK"): "Hant", ("zho", "MO"): "Hant"}


class UnknownLanguageError(InputError):
    """A language code that no row of the FLORES-200 table answers to; names the nearest codes."""


@dataclass(frozen=True)
class _Table:
    names: dict[str, str]
    aliases: dict[str, str]
    short: dict[str, str]


@lru_cache(maxsize=1)
def _table() -> _Table:
    text = resources.files("hf_optical.data").joinpath("languages.tsv").read_text(encoding="utf-8")
    names: dict[str, str] = {}
    aliases: dict[str, str] = {}
    short: dict[str, str] = {}
    for row in csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE):
        code = row["flores"]
        names[code] = row["name"]
        short[code] = row["iso639_1"] or code[:3]
        for alias in (code, code[:3], row["iso639_1"], *row["other"].split(), row["name"]):
            if alias:
                aliases.setdefault(_folded(alias), code)
    return _Table(names, aliases, short)


def _folded(code: str) -> str:
    return code.strip().replace("-", "_").casefold()


def normalize(code: str) -> str:
    """Turn a language code, tag or English name into its FLORES-200 code.

    Args:
        code: ISO 639-1, -2 or -3, a macro-language, a BCP 47 tag, a FLORES code or an English name, in any case.

    Returns:
        The FLORES code, such as ``"swh_Latn"``.

    Raises:
        UnknownLanguageError: If no language of FLORES-200 answers to it.

    Example:
        >>> [normalize(code) for code in ("sw", "swa", "sw-KE", "fil", "zh-TW", "Somali")]
        ['swh_Latn', 'swh_Latn', 'swh_Latn', 'tgl_Latn', 'zho_Hant', 'som_Latn']
    """
    if not isinstance(code, str):
        raise UnknownLanguageError(f"{code!r} is not text", "give a code such as 'sw' or 'swh_Latn', in quotes")
    found = find_language(code)
    if found is None:
        subtags = _folded(code).split("_")
        raise _unknown(code, _table().aliases.get(subtags[0]) if _may_be_tag(subtags) else None)
    return found


def find_language(code: str) -> str | None:
    """The FLORES code of a language as :func:`normalize` finds it, or None: the cheap form, without suggestions.

    Example:
        >>> find_language("sw"), find_language("license")
        ('swh_Latn', None)
    """
    table = _table()
    direct = table.aliases.get(_folded(code))
    if direct is not None:
        return direct
    subtags = code.strip().replace("-", "_").split("_")
    base = table.aliases.get(subtags[0].casefold()) if _may_be_tag(subtags) else None
    return _with_subtags(base, subtags[1:]) if base else None


def _may_be_tag(subtags: list[str]) -> bool:
    return len(subtags) > 1 and len(subtags[0]) in (2, 3)


def _with_subtags(base: str, subtags: list[str]) -> str | None:
    """Resolve a script and a region subtag (BCP 47) against the scripts that FLORES-200 has for the language."""
    language = base[:3]
    script = next((tag.title() for tag in subtags if len(tag) == 4 and tag.isalpha()), None)
    region = next((tag.upper() for tag in subtags if len(tag) == 2 or (len(tag) == 3 and tag.isdigit())), "")
    if len(subtags) != bool(script) + bool(region):
        return None
    script = script or _REGION_SCRIPTS.get((language, region))
    candidate = f"{language}_{script}" if script else base
    return candidate if candidate in _table().names else None


def _unknown(code: str, base: str | None) -> UnknownLanguageError:
    table = _table()
    if base:
        near = [known for known in table.names if known[:3] == base[:3]]
    else:
        folded = _folded(code)
        matches = difflib.get_close_matches(folded, list(table.aliases), n=8, cutoff=0.5)
        # Two-letter codes are all alike; what shares the first letters says more.
        matches += [alias for alias in table.aliases if alias.startswith(folded[:2])] if len(folded) > 1 else []
        near = list(dict.fromkeys(table.aliases[match] for match in matches))[:4]
    listed = ", ".join(f"{known} ({table.names[known]})" for known in near) or "none"
    return UnknownLanguageError(
        f"unknown language {code!r}; nearest: {listed}",
        "use an ISO 639 or FLORES-200 code, such as 'sw' or 'swh_Latn'",
    )


def known_codes() -> tuple[str, ...]:
    """All FLORES codes of the table, in its order.

    Example:
        >>> len(known_codes())
        204
    """
    return tuple(_table().names)


def language_name(code: str) -> str:
    """The English name of a language, given by any code that :func:`normalize` takes.

    Example:
        >>> language_name("mr")
        'Marathi'
    """
    return _table().names[normalize(code)]


def iso_code(code: str) -> str:
    """The ISO 639-1 code of a language, or its ISO 639-3 code where it has none; any code that :func:`normalize` takes.

    Example:
        >>> iso_code("swh_Latn"), iso_code("fil"), iso_code("nso_Latn")
        ('sw', 'tl', 'nso')
    """
    return _table().short[normalize(code)]


def script_of(code: str) -> str:
    """The ISO 15924 code of the script of a language, given by any code that :func:`normalize` takes.

    Example:
        >>> script_of("am")
        'Ethi'
    """
    return normalize(code)[4:]
