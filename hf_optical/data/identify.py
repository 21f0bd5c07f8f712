"""Offline language identification: FLORES codes with a confidence (extra ``routing``).

The identifier is py3langid (BSD-3; Lui and Baldwin, 2012, "langid.py: An Off-the-shelf Language Identification Tool",
ACL demo; model retrained on 139 languages, 4.6 MB, in the package). It is a naive Bayes classifier over byte n-grams.
It names a language, not a script: Chinese is always ``zho_Hans``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any

from hf_optical.errors import InputError

__all__ = ["UNDETERMINED", "identifiable", "identify"]

UNDETERMINED = "und"
"""In place of a code: no letters, or a label of the identifier that stands for no language."""

# Naive Bayes is sure long before this; what follows in a long document costs time only.
_MOST_CHARACTERS = 2000


def identify(texts: Sequence[str], *, among: Collection[str] | None = None) -> list[tuple[str, float]]:
    """The most likely language of each text.

    Args:
        texts: Any number of texts. About 0.15 ms a sentence on one CPU thread.
        among: FLORES codes that come into question; all that the identifier knows when ``None``. Confidences are then
            shares among these only, so that a text in a language that is not listed looks like one that is.

    Returns:
        For each text, in order, a FLORES code (or :data:`UNDETERMINED`) and a confidence from 0 to 1. The confidence is
        a naive Bayes posterior flattened by the length of the text: a short text has a low one.

    Raises:
        InputError: The extra is not installed, ``among`` names a language that the identifier does not know, or
            something is not a text.

    Example:
        >>> [code for code, _ in identify(["Mtoto anasoma kitabu kikubwa shuleni", "The child reads a book at school"])]
        ['swh_Latn', 'eng_Latn']
    """
    _check_identifier()
    labels = _labels()
    wanted = None if among is None else _known(among, labels)
    return [_one(text, position, labels, wanted) for position, text in enumerate(texts)]


def identifiable() -> tuple[str, ...]:
    """The FLORES codes that :func:`identify` can answer with, sorted.

    Example:
        >>> {"swh_Latn", "som_Latn", "tgl_Latn", "mar_Deva", "hau_Latn", "ibo_Latn"} <= set(identifiable())
        True
    """
    _check_identifier()
    return tuple(sorted({code for code in _labels().values() if code != UNDETERMINED}))


def _check_identifier() -> None:
    """Stop early if the identifier is not installed.

    Raises:
        InputError: It is not.
    """
    try:
        import py3langid  # noqa: F401
    except ImportError as error:
        raise InputError(
            "language identification needs the package py3langid, which is not installed",
            'pip install "hf-optical[routing]"',
        ) from error


def _one(text: Any, position: int, labels: dict[str, str], wanted: set[str] | None) -> tuple[str, float]:
    if not isinstance(text, str):
        raise InputError(f"{text!r} is not a text", "give strings", row=position + 1)
    if not any(character.isalpha() for character in text):
        return UNDETERMINED, 0.0
    if wanted is None:
        label, confidence = _identifier().classify(text[:_MOST_CHARACTERS])
        return labels[label], float(confidence)
    shares = [(labels[label], share) for label, share in _identifier().rank(text[:_MOST_CHARACTERS])]
    shares = [(code, share) for code, share in shares if code in wanted]
    total = sum(share for _, share in shares)
    return (shares[0][0], shares[0][1] / total) if total > 0 else (UNDETERMINED, 0.0)


def _known(among: Collection[str], labels: dict[str, str]) -> set[str]:
    from hf_optical.data.languages import normalize

    wanted = {normalize(code) for code in among}
    unknown = sorted(wanted - set(labels.values()))
    if unknown or not wanted:
        raise InputError(
            f"the identifier does not know {', '.join(unknown)}" if unknown else "no language is named",
            "leave these out, or give the languages of the texts yourself",
            field="among",
        )
    return wanted


@lru_cache(maxsize=1)
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


@lru_cache(maxsize=1)
def _labels() -> dict[str, str]:
    """The identifier's labels and their FLORES codes."""
    from hf_optical.data.languages import UnknownLanguageError, normalize

    codes = {}
    for label in _identifier().labels:
        try:
            codes[label] = normalize(label)
        except UnknownLanguageError:
            codes[label] = UNDETERMINED
    return codes
