"""Kinds of training sets and their columns: a set named ``bitext/eng_Latn-swh_Latn`` is of the kind ``bitext``."""

from __future__ import annotations

from hf_optical.errors import InputError

COLUMNS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "bitext": (("source", "translation"), ()),
    "mono": (("query", "passage"), ("negative",)),
    "cross": (("query", "passage"), ("negative",)),
    "lexicon": (("source", "translation"), ()),
}
"""Required and optional columns of each kind, in the order in which the losses read them."""


def kind_of(name: str) -> str:
    """Return the kind of a training set from its name.

    Raises:
        InputError: The name does not begin with a known kind.

    Example:
        >>> kind_of("bitext/eng_Latn-swh_Latn")
        'bitext'
    """
    kind = name.split("/", 1)[0]
    if kind not in COLUMNS:
        raise InputError(
            f"the name of the training set {name!r} does not begin with a known kind",
            f"name it <kind>/<languages>, with one of the kinds {', '.join(COLUMNS)}, e.g. 'bitext/eng_Latn-swh_Latn'",
        )
    return kind
