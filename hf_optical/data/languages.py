"""Language codes: whatever people write at the door, one form inside: ``swh_Latn``, as FLORES-200 writes it.

The table ``languages.tsv`` holds the 204 languages of FLORES-200 (NLLB Team, 2022, "No Language Left Behind",
arXiv:2207.04672, table 1), with their ISO 639-1 code, the other codes people use for them (ISO 639-2/B, macro-languages
such as ``swa`` for ``swh``) and their English name. Of several scripts of one language, the first row is the default.

Every other language of ISO 639-3 is taken too (:mod:`hf_optical.data.iso639`), in the same form: ``pcm`` is
``pcm_Latn``. Where CLDR does not know its script, it has to be written: ``old_Latn``. So is another script of a
language of FLORES-200: ``sr-Latn`` is ``srp_Latn``.
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
    """A language code that neither FLORES-200 nor ISO 639-3 answers to; names the nearest codes."""


# Languages whose dialects BCP 47 also writes behind them.
_EXTENDED = re.compile(r"(?:ar|kok|lv|ms|sgn|sw|uz|zh)[-_]([a-z]{3}(?:[-_].+)?)", re.IGNORECASE)


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
    """Turn a language code, tag or English name into one form: ISO 639-3, underscore, script.

    Args:
        code: ISO 639-1, -2 or -3, a macro-language, a BCP 47 tag, a FLORES code or an English name, in any case.

    Returns:
        The code of FLORES-200, such as ``"swh_Latn"``; of other languages and scripts the code in that form.

    Raises:
        UnknownLanguageError: If no language answers to it, or if its script is not known and is not said.

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
        return normalize(extended[1])  # zh-yue is yue
    if found is None:
        subtags = _folded(code).split("_")
        raise _unknown(code, _table().aliases.get(subtags[0]) if _may_be_tag(subtags) else None)
    return found


def find_language(code: str) -> str | None:
    """The code of a language or script of FLORES-200, or None: for names that may or may not be a language's.

    The codes of all other languages are left out on purpose: ``the``, ``and``, ``doc`` and ``new`` are among them, and
    the name of a column or the word of a lexicon would be taken for a language.

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
    """Another script of a language of FLORES-200, or another language of ISO 639-3."""
    named = re.fullmatch(r"\s*(.+) \((\w{4})\)\s*", code)  # as `language_name` writes it
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
    if found in _table().aliases:  # a renewed code, which FLORES-200 has under that of its standard form
        flores = _table().aliases[found]
        found, usual = flores[:3], usual or flores[4:]
    return _with_subtags(found, usual, subtags[1:]) if found else None


def _may_be_tag(subtags: list[str]) -> bool:
    return len(subtags) > 1 and len(subtags[0]) in (2, 3)


def _with_subtags(language: str, usual: str | None, subtags: list[str]) -> str | None:
    """A language with a script and a region subtag (BCP 47), or with its usual script."""
    script = next((tag.title() for tag in subtags if len(tag) == 4 and tag.isalpha()), None)
    region = next((tag.upper() for tag in subtags if len(tag) == 2 or (len(tag) == 3 and tag.isdigit())), "")
    if len(subtags) != bool(script) + bool(region) or (script and not is_script(script)):
        return None
    script = script or _REGION_SCRIPTS.get((language, region)) or usual
    return f"{language}_{script}" if script else None


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
    meant = iso639_3(code) if base is None else None
    if meant is not None:
        return UnknownLanguageError(
            f"the usual script of {code!r} ({iso639_name(meant)}) is not known; codes near it: {listed}",
            f"write the script too, such as '{meant}_Latn', or another code where another language is meant",
        )
    return UnknownLanguageError(
        f"unknown language {code!r}; nearest: {listed}",
        "use an ISO 639 or FLORES-200 code, such as 'sw' or 'swh_Latn', with the ISO 15924 code of a script if need be",
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
    """The ISO 639-1 code of a language, or its ISO 639-3 code where it has none; any code that :func:`normalize` takes.

    Example:
        >>> iso_code("swh_Latn"), iso_code("fil"), iso_code("nso_Latn")
        ('sw', 'tl', 'nso')
    """
    found, table = normalize(code), _table()
    usual = found if found in table.short else table.aliases.get(found[:3])
    return table.short[usual] if usual else found[:3]


def script_of(code: str) -> str:
    """The ISO 15924 code of the script of a language, given by any code that :func:`normalize` takes.

    Example:
        >>> script_of("am")
        'Ethi'
    """
    return normalize(code)[4:]
