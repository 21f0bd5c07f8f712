"""Choice of the adapter for a language that may have none of its own."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from hf_optical.adapters.nearest import nearest
from hf_optical.data.languages import UnknownLanguageError, normalize
from hf_optical.errors import InputError

Policy = Literal["base", "nearest", "error"]


def resolve(language: str | None, available: Collection[str], policy: Policy) -> str | None:
    """Implement :meth:`LanguageAdapters.resolve`.

    Args:
        language: Any code, or ``None`` for the base.
        available: FLORES codes of the adapters.
        policy: What to use for a language without an adapter: ``"base"``, ``"nearest"`` (an adapter of the same
            macro-language, or else the base), or ``"error"`` to raise an error.

    Returns:
        A FLORES code, or ``None`` for the base.

    Raises:
        InputError: The policy is none of the three.
        UnknownLanguageError: There is no such language, or it has no adapter under the policy ``"error"``.

    Example:
        >>> resolve("sw", ["swh_Latn"], "base"), resolve("ary", ["arb_Arab"], "nearest"), resolve("so", [], "base")
        ('swh_Latn', 'arb_Arab', None)
    """
    if policy not in ("base", "nearest", "error"):
        raise InputError(f"is {policy!r}", "use 'base', 'nearest' or 'error'", field="policy")
    name = None if language is None else normalize(language)
    if name is None or name in available:
        return name
    if policy == "error":
        present(name, available)
    return nearest(name, available) if policy == "nearest" else None


def present(language: str, available: Collection[str]) -> str:
    """Return the FLORES code of a language that has an adapter.

    Raises:
        UnknownLanguageError: There is no such language, or it has no adapter.
    """
    name = normalize(language)
    if name not in available:
        raise UnknownLanguageError(
            f"there is no adapter for {name}; there are: {', '.join(available) or 'none'}", "add or load it"
        )
    return name
