"""Kinds of training sets by name: ``bitext/eng_Latn-swh_Latn`` is bitext, with these columns."""

from __future__ import annotations

from hf_optical.errors import InputError

COLUMNS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "bitext": (("source", "translation"), ()),
    "mono": (("query", "passage"), ("negative",)),
    "cross": (("query", "passage"), ("negative",)),
    "lexicon": (("source", "translation"), ()),
}
"""Required and optional columns, in the order in which the losses read them."""


def kind_of(name: str) -> str:
    """The kind of a training set, from its name.

    Example:
        >>> kind_of("bitext/eng_Latn-swh_Latn")
        'bitext'
    """
    kind = name.split("/", 1)[0]
    if kind not in COLUMNS:
        raise InputError(
            f"the training set {name!r} is of no known kind",
            f"name it <kind>/<languages>, with one of the kinds {', '.join(COLUMNS)}, e.g. 'bitext/eng_Latn-swh_Latn'",
        )
    return kind
