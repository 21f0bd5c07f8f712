"""Normalisation of language codes: users may write any code or name; the package uses FLORES-200's form ``swh_Latn``.

The table ``languages.tsv`` has the 204 languages of FLORES-200 (NLLB Team, 2022, "No Language Left Behind",
arXiv:2207.04672, table 1), with their ISO 639-1 code, other codes in use (ISO 639-2/B, macro-languages such as ``swa``
for ``swh``) and their English name. If a language has several scripts, the first row is the default.

Every other language of ISO 639-3 is accepted too (:mod:`hf_optical.data.iso639`) and gets the same form: ``pcm`` is
``pcm_Latn``. If CLDR does not know its script, the user has to state it: ``old_Latn``. Other scripts of a FLORES-200
language are also accepted: ``sr-Latn`` is ``srp_Latn``.
"""

from __future__ import annotations

import csv
import difflib
import re
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from hf_optical.data.iso639 import is_script, iso639_3, iso639_name, likely_script
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
    """Error for a code that neither FLORES-200 nor ISO 639-3 has, or for a language that something here lacks."""


# Languages with extended language subtags: BCP 47 also allows the code of a dialect behind that of the language.
_EXTENDED = re.compile(r"(?:ar|kok|lv|ms|sgn|sw|uz|zh)[-_]([a-z]{3}(?:[-_].+)?)", re.IGNORECASE)


@dataclass(frozen=True)
class _Table:
    """Content of ``languages.tsv``: English names, FLORES codes by any spelling, and the shortest ISO code."""

    names: dict[str, str]
    aliases: dict[str, str]
    short: dict[str, str]


@lru_cache(maxsize=1)
def _table() -> _Table:
    """Read ``languages.tsv`` once."""
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
    """Normalise a language code, tag or English name to the form ISO 639-3, underscore, script.

    Args:
        code: An ISO 639-1, -2 or -3 code, a macro-language, a BCP 47 tag, a FLORES code or an English name, in upper or
            lower case.

    Returns:
        The FLORES-200 code, such as ``"swh_Latn"``, or a code of the same form for other languages and scripts.

    Raises:
        UnknownLanguageError: No language has this code or name, or its script is neither known nor stated; the message
            lists similar codes.

    Example:
        >>> [normalize(code) for code in ("sw", "swa", "sw-KE", "fil", "zh-TW", "Somali")]
        ['swh_Latn', 'swh_Latn', 'swh_Latn', 'tgl_Latn', 'zho_Hant', 'som_Latn']
        >>> [normalize(code) for code in ("pcm", "nqo", "nd", "sr-Latn", "N'Ko")]
        ['pcm_Latn', 'nqo_Nkoo', 'nde_Latn', 'srp_Latn', 'nqo_Nkoo']
    """
    if not isinstance(code, str):
        raise UnknownLanguageError(f"{code!r} is not text", "give a code such as 'sw' or 'swh_Latn', in quotes")
    found = find_language(code) or _beyond_flores(code)
    if found is None and (extended := _EXTENDED.fullmatch(code.strip())):
        return normalize(extended[1])  # "zh-yue" means "yue"
    if found is None:
        subtags = _folded(code).split("_")
        raise _unknown(code, _table().aliases.get(subtags[0]) if _may_be_tag(subtags) else None)
    return found


def find_language(code: str) -> str | None:
    """Return the FLORES-200 code for a name that may or may not be a language's; ``None`` if it is not.

    Languages outside FLORES-200 are not found on purpose. Their codes include ``the``, ``and``, ``doc`` and ``new``, so
    that names of columns and words of a lexicon would be taken for languages.

    Example:
        >>> find_language("sw"), find_language("license"), find_language("doc")
        ('swh_Latn', None, None)
    """
    table = _table()
    direct = table.aliases.get(_folded(code))
    if direct is not None:
        return direct
    subtags = code.strip().replace("-", "_").split("_")
    base = table.aliases.get(subtags[0].casefold()) if _may_be_tag(subtags) else None
    found = _with_subtags(base[:3], base[4:], subtags[1:]) if base else None
    return found if found in table.names else None


@lru_cache(maxsize=1024)
def _beyond_flores(code: str) -> str | None:
    """Return the code of another script of a FLORES-200 language, or of another language of ISO 639-3."""
    named = re.fullmatch(r"\s*(.+) \((\w{4})\)\s*", code)  # the form that `language_name` returns
    if named:
        language = (find_language(named[1]) or "")[:3] or iso639_3(named[1])
        return _with_subtags(language, None, [named[2]]) if language else None
    subtags = code.strip().replace("-", "_").split("_")
    flores = _table().aliases.get(subtags[0].casefold()) if len(subtags[0]) in (2, 3) else None
    if flores is not None:
        return _with_subtags(flores[:3], flores[4:], subtags[1:])
    if len(subtags) > 1 and iso639_3(code):  # a name with a hyphen
        subtags = [code]
    found, usual = iso639_3(subtags[0]), likely_script(subtags[0])
    if found in _table().aliases:  # the replacement of a deprecated code may be an alias in FLORES-200
        flores = _table().aliases[found]
        found, usual = flores[:3], usual or flores[4:]
    return _with_subtags(found, usual, subtags[1:]) if found else None


def _may_be_tag(subtags: list[str]) -> bool:
    return len(subtags) > 1 and len(subtags[0]) in (2, 3)


def _with_subtags(language: str, usual: str | None, subtags: list[str]) -> str | None:
    """Return a code with the script that the BCP 47 subtags state or imply, or with the usual script.

    Args:
        language: ISO 639-3 code.
        usual: Usual script of the language, if known.
        subtags: Script and region subtags.

    Returns:
        The code, or ``None`` if a subtag is neither a script nor a region, or no script is known.
    """
    script = next((tag.title() for tag in subtags if len(tag) == 4 and tag.isalpha()), None)
    region = next((tag.upper() for tag in subtags if len(tag) == 2 or (len(tag) == 3 and tag.isdigit())), "")
    if len(subtags) != bool(script) + bool(region) or (script and not is_script(script)):
        return None
    script = script or _REGION_SCRIPTS.get((language, region)) or usual
    return f"{language}_{script}" if script else None


def _unknown(code: str, base: str | None) -> UnknownLanguageError:
    """Build the error for a code that was not found, with similar codes.

    Args:
        code: The code.
        base: FLORES code of its first subtag, if there is one; then its scripts are listed.
    """
    table = _table()
    if base:
        near = [known for known in table.names if known[:3] == base[:3]]
    else:
        folded = _folded(code)
        matches = difflib.get_close_matches(folded, list(table.aliases), n=8, cutoff=0.5)
        # Two-letter codes are all similar, so names with the same first letters are added.
        matches += [alias for alias in table.aliases if alias.startswith(folded[:2])] if len(folded) > 1 else []
        near = list(dict.fromkeys(table.aliases[match] for match in matches))[:4]
    listed = ", ".join(f"{known} ({table.names[known]})" for known in near) or "none"
    meant = iso639_3(code) if base is None else None
    if meant is not None:
        return UnknownLanguageError(
            f"the usual script of {code!r} ({iso639_name(meant)}) is not known; codes near it: {listed}",
            f"write the script too, such as '{meant}_Latn', or another code if another language is meant",
        )
    return UnknownLanguageError(
        f"unknown language {code!r}; nearest: {listed}",
        "use an ISO 639 or FLORES-200 code, such as 'sw' or 'swh_Latn', with an ISO 15924 code of a script if needed",
    )


def known_codes() -> tuple[str, ...]:
    """Return all FLORES-200 codes, in the order of the table.

    Example:
        >>> len(known_codes())
        204
    """
    return tuple(_table().names)


def language_name(code: str) -> str:
    """Return the English name of a language, given by any code that :func:`normalize` accepts.

    Example:
        >>> language_name("mr"), language_name("sr-Latn"), language_name("nqo")
        ('Marathi', 'Serbian (Latn)', "N'Ko")
    """
    found, names = normalize(code), _table().names
    if found in names:
        return names[found]
    usual = _table().aliases.get(found[:3])
    name = names[usual] if usual else str(iso639_name(found[:3]))
    return name if not usual and likely_script(found[:3]) == found[4:] else f"{name} ({found[4:]})"


def iso_code(code: str) -> str:
    """Return the ISO 639-1 code of a language, or its ISO 639-3 code if it has none.

    Args:
        code: Any code that :func:`normalize` accepts.

    Example:
        >>> iso_code("swh_Latn"), iso_code("fil"), iso_code("nso_Latn")
        ('sw', 'tl', 'nso')
    """
    found, table = normalize(code), _table()
    usual = found if found in table.short else table.aliases.get(found[:3])
    return table.short[usual] if usual else found[:3]


def script_of(code: str) -> str:
    """Return the ISO 15924 code of a language's script, given by any code that :func:`normalize` accepts.

    Example:
        >>> script_of("am")
        'Ethi'
    """
    return normalize(code)[4:]
