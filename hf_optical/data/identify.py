"""Offline language identification, which gives FLORES codes with a confidence (extra ``routing``).

The identifier is py3langid (BSD-3; Lui and Baldwin, 2012, "langid.py: An Off-the-shelf Language Identification Tool",
ACL demo; model retrained on 139 languages, 4.6 MB, in the package). It is a naive Bayes classifier over byte n-grams.
It identifies the language but not the script, so that Chinese is always ``zho_Hans``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any

from hf_optical.errors import InputError, pip_install

__all__ = ["UNDETERMINED", "identifiable", "identify"]

UNDETERMINED = "und"
"""Result for a text without letters, or for a label of the identifier that is not a language."""

# The classifier is certain after far fewer characters; the rest of a long document would only cost time.
_MOST_CHARACTERS = 2000


def identify(texts: Sequence[str], *, among: Collection[str] | None = None) -> list[tuple[str, float]]:
    """Identify the most likely language of each text, in about 0.15 ms for a sentence on one CPU thread.

    Args:
        texts: The texts.
        among: FLORES codes of the possible languages; all that the identifier knows if ``None``. Confidences are then
            shares among these languages only, so that a text in another language looks like one of them.

    Returns:
        For each text, in order, a FLORES code (or :data:`UNDETERMINED`) and a confidence from 0 to 1. The confidence is
        a naive Bayes posterior, normalised such that short texts get low values.

    Raises:
        InputError: The extra is not installed, ``among`` has a language that the identifier does not know, or a text is
            not a string.

    Example:
        >>> [code for code, _ in identify(["Mtoto anasoma kitabu kikubwa shuleni", "The child reads a book at school"])]
        ['swh_Latn', 'eng_Latn']
    """
    _check_identifier()
    labels = _labels()
    wanted = None if among is None else _known(among, labels)
    return [_one(text, position, labels, wanted) for position, text in enumerate(texts)]


def identifiable() -> tuple[str, ...]:
    """Return the sorted FLORES codes of the languages that :func:`identify` knows.

    Example:
        >>> {"swh_Latn", "som_Latn", "tgl_Latn", "mar_Deva", "hau_Latn", "ibo_Latn"} <= set(identifiable())
        True
    """
    _check_identifier()
    return tuple(sorted({code for code in _labels().values() if code != UNDETERMINED}))


def _check_identifier() -> None:
    """Check that the identifier is installed.

    Raises:
        InputError: It is not installed.
    """
    try:
        import py3langid  # noqa: F401
    except ImportError as error:
        raise InputError(
            "language identification needs the package py3langid, which is not installed",
            pip_install("routing"),
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
    """Return the codes of possible languages in their normal form, if the identifier knows them all."""
    from hf_optical.data.languages import normalize

    wanted = {normalize(code) for code in among}
    unknown = sorted(wanted - set(labels.values()))
    if unknown or not wanted:
        raise InputError(
            f"the identifier does not know {', '.join(unknown)}" if unknown else "no language is named",
            "omit these languages, or give the language of each text yourself",
            field="among",
        )
    return wanted


@lru_cache(maxsize=1)
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


@lru_cache(maxsize=1)
def _labels() -> dict[str, str]:
    """Return the FLORES code of each label of the identifier."""
    from hf_optical.data.languages import UnknownLanguageError, normalize

    codes = {}
    for label in _identifier().labels:
        try:
            codes[label] = normalize(label)
        except UnknownLanguageError:
            codes[label] = UNDETERMINED
    return codes
