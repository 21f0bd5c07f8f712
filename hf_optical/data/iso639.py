"""Languages and scripts beyond FLORES-200, looked up in the registries of the package langcodes.

langcodes (MIT) contains the IANA language subtag registry, which has every ISO 639-3 code with its English name, the
scripts of ISO 15924, and CLDR's likely script of about 1,900 languages. For other languages no script is guessed; the
user has to state it. Reading the registry takes about a tenth of a second, once.
"""

from __future__ import annotations

from functools import lru_cache

__all__ = ["is_script", "iso639_3", "iso639_name", "likely_script"]

_NO_LANGUAGE = {"collection", "special", "private-use"}  # scopes of the registry: a family, "undetermined", "qaa..qtz"


@lru_cache(maxsize=1)
def _registry() -> tuple[dict[str, str], dict[str, str]]:
    """Return names by subtag, of several names the first, and subtags by any name in lower case."""
    from langcodes.registry_parser import parse_registry

    names: dict[str, str] = {}
    subtags: dict[str, str] = {}
    for entry in parse_registry():
        if entry.get("Type") != "language" or entry.get("Scope") in _NO_LANGUAGE:
            continue
        names[entry["Subtag"]] = entry["Description"][0].replace("\u2019", "'")
        for name in entry["Description"]:
            if len(name) > 3:  # a shorter name may be the code of another language: "Kua" is not kua
                subtags.setdefault(name.replace("\u2019", "'").casefold(), entry["Subtag"])
    return names, subtags


def _subtag(code: str) -> str | None:
    """Return the registry's subtag of a code or name: two letters if the language has them, never a deprecated one."""
    from langcodes import Language

    names, subtags = _registry()
    found = Language.get(code.strip()).language if _is_short(code) else None
    return found if found in names else subtags.get(code.strip().casefold())


def _is_short(code: str) -> bool:
    code = code.strip()
    return code.isascii() and code.isalpha() and len(code) in (2, 3)


def iso639_3(code: str) -> str | None:
    """Return the ISO 639-3 code of a language given by an ISO 639 code or its English name; ``None`` if unknown.

    Example:
        >>> iso639_3("pcm"), iso639_3("nd"), iso639_3("Nigerian Pidgin"), iso639_3("xx")
        ('pcm', 'nde', 'pcm', None)
    """
    from langcodes import Language

    subtag = _subtag(code)
    return Language.get(subtag).to_alpha3() if subtag else None


def iso639_name(code: str) -> str | None:
    """Return the English name of a language given by an ISO 639 code; ``None`` if unknown.

    Example:
        >>> iso639_name("nqo"), iso639_name("nde")
        ("N'Ko", 'North Ndebele')
    """
    subtag = _subtag(code)
    return _registry()[0][subtag] if subtag else None


def likely_script(code: str) -> str | None:
    """Return the usual script of a language according to CLDR; ``None`` if CLDR does not have the language.

    Example:
        >>> likely_script("gez"), likely_script("old")
        ('Ethi', None)
    """
    from langcodes import Language
    from langcodes.data_dicts import LIKELY_SUBTAGS

    subtag = _subtag(code)
    if subtag is None:
        return None
    said = Language.get(code.strip()).script if _is_short(code) else None  # "sh" is Serbian in Latin script
    return said or (Language.get(LIKELY_SUBTAGS[subtag]).script if subtag in LIKELY_SUBTAGS else None)


def is_script(code: str) -> bool:
    """Return whether a code, written like ``Latn``, is that of a script in ISO 15924.

    Example:
        >>> is_script("Nkoo"), is_script("Text")
        (True, False)
    """
    from langcodes.data_dicts import ALL_SCRIPTS

    return code in ALL_SCRIPTS and code not in ("Zyyy", "Zinh", "Zzzz", "Zxxx", "Zmth", "Zsym", "Zsye")
