"""Measurement whether two encoders share a vector space, which equal widths do not prove."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hf_optical.encoders.encoding import encode_texts
from hf_optical.encoders.token_vectors import TokenVectors

PROBES = (
    "The goat sleeps under the tree.",
    "Rain is expected in the coast region tomorrow.",
    "How long have you had these symptoms?",
    "The parliament passed the new tax law.",
    "Our team lost the final match by one goal.",
    "She studies mathematics at the university.",
    "The price of maize rose again this month.",
    "Wash your hands with soap before you eat.",
    "The old bridge across the river was closed.",
    "He wrote his first novel in prison.",
    "Satellites measure the temperature of the sea.",
    "The court sent the case back to the judge.",
    "Children under five travel free of charge.",
    "The bank opened a branch in our town.",
    "Bees make honey from the nectar of flowers.",
    "The train leaves the station at noon.",
)
"""English sentences on different subjects, used where there is no bitext."""

SAME = 0.5
"""Share of texts that must find themselves in a shared space; in unrelated spaces it is about one over their number."""
_MOST = 64


@dataclass(frozen=True)
class SharedSpace:
    """Result of measuring whether two encoders share a space.

    Attributes:
        found: Share of the student's texts whose nearest vector of the teacher is that of the same text; the larger of
            the shares of English and of translations.
        n: Number of texts.
        widths: Widths of the student's and the teacher's vectors.
    """

    found: float
    n: int
    widths: tuple[int, int]

    @property
    def same(self) -> bool:
        """Return whether the vectors of both can be compared directly."""
        return self.widths[0] == self.widths[1] and self.found >= SAME

    def sentence(self) -> str:
        """Describe the result in a sentence."""
        if self.widths[0] != self.widths[1]:
            return f"the student's vectors have {self.widths[0]} numbers and the teacher's {self.widths[1]}"
        return (
            f"of {self.n} texts {self.found:.0%} are nearest to themselves in the teacher's space (chance "
            f"{1 / max(1, self.n):.0%}): the student's space is {'' if self.same else 'not '}the teacher's"
        )


def measure_shared_space(
    student: Any, teacher: Any, english: Sequence[str] = (), translations: Sequence[str] = ()
) -> SharedSpace:
    """Encode the same texts with both models as queries and measure how often a text finds itself.

    Args:
        student: An encoder of sentence-transformers.
        teacher: Another encoder.
        english: Sentences, of which the first 64 different ones are used; `PROBES` if fewer than 16 are given.
        translations: Translations of the same sentences, for a student that only reads another language.

    Returns:
        The measurement.
    """
    if len(set(english)) < len(PROBES):
        english, translations = PROBES, ()
    first = {text: place for place, text in reversed(list(enumerate(english)))}
    places = sorted(first.values())[:_MOST]
    texts = [english[place] for place in places]
    readings = [texts] + ([[translations[place] for place in places]] if len(translations) else [])
    theirs = _sentence_vectors(teacher, texts)
    shares, widths = [], (0, theirs.shape[1])
    for reading in readings:
        mine = _sentence_vectors(student, reading)
        widths = (mine.shape[1], theirs.shape[1])
        shares.append(_share_of_matches(mine, theirs))
    return SharedSpace(max(shares), len(texts), widths)


def _share_of_matches(mine: np.ndarray, theirs: np.ndarray) -> float:
    """Compute the share of rows whose nearest row of the other array, by cosine, has the same number.

    Args:
        mine: ``(n, d)``.
        theirs: ``(n, d)``; with another width the share is 0.

    Example:
        >>> _share_of_matches(np.eye(3), np.eye(3)), _share_of_matches(np.eye(3), np.eye(3)[::-1])
        (1.0, 0.3333333333333333)
    """
    if mine.shape != theirs.shape:
        return 0.0
    units = [rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12) for rows in (mine, theirs)]
    return float(np.mean((units[0] @ units[1].T).argmax(1) == np.arange(len(mine))))


def _sentence_vectors(model: Any, texts: Sequence[str]) -> np.ndarray:
    """Encode one vector per text; for late-interaction models the mean of the token vectors."""
    vectors = encode_texts(model, list(texts), "query")
    if isinstance(vectors, TokenVectors):
        return np.stack([rows.mean(0) for rows in vectors])
    return vectors
