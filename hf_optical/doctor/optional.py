"""Optional checks that need further packages or models: the language of each side, and their similarity."""

from __future__ import annotations

from typing import Any

import numpy as np

from hf_optical.data.languages import ENGLISH
from hf_optical.doctor.examination import Examination
from hf_optical.doctor.kinds import bit_of
from hf_optical.doctor.mixture import mixture
from hf_optical.doctor.reading import Chunk
from hf_optical.doctor.verdict import Example, Histogram

__all__ = ["LanguageCheck", "check_with_model"]

_LEAST_LETTERS = 25  # least number of letters of a text whose language is identified
_LEAST_PAIRS = 50  # least number of pairs for the check with a model


class LanguageCheck:
    """Check that each side is in its language, by :func:`hf_optical.data.identify.identify` (0.15 ms a sentence).

    Texts of fewer than 25 letters are not checked.

    Args:
        language: FLORES code of the translations. If it is ``None`` or the identifier does not know it, only the
            English side is checked.
        confidence: Least confidence, from 0 to 1, with which another language must be identified. Default 0.95.
    """

    kind = "language"

    def __init__(self, language: str | None, confidence: float = 0.95) -> None:
        from hf_optical.data.identify import identifiable, identify

        self._identify, self._confidence = identify, confidence
        known = set(identifiable())
        self._expected = (ENGLISH, language if language in known else None)

    def __call__(self, chunk: Chunk) -> dict[int, tuple[str, str]]:
        """Return kind and detail of the rows of a chunk that have a side in another language, by index."""
        found: dict[int, tuple[str, str]] = {}
        for name, texts, expected in zip(
            ("source", "translation"), (chunk.source, chunk.translation), self._expected, strict=True
        ):
            if expected is None:
                continue
            rows = [row for row, text in enumerate(texts) if sum(map(str.isalpha, text)) >= _LEAST_LETTERS]
            for row, (code, sure) in zip(rows, self._identify([texts[row] for row in rows]), strict=True):
                # Only languages are compared: scripts have a check of their own, and the identifier ignores them.
                if code[:3] not in ("und", expected[:3]) and sure >= self._confidence:
                    found[row] = "language", f"{name} looks like {code} ({sure:.0%})"
        return found


def check_with_model(examination: Examination, model: Any, *, batch_size: int = 64, above: float = 0.5) -> None:
    """Mark the pairs whose two sides are no closer under a model than shuffled sides.

    Args:
        examination: The examination, whose flags and verdict are extended.
        model: A dense encoder of both languages (:func:`~hf_optical.encoders.models.load_encoder`). An English teacher
            is not suited; the verdict states how well the model ranks true pairs above random ones.
        batch_size: Number of texts that are encoded at a time. Default 64.
        above: Probability of being a random pair from which a row is marked. Default 0.5.
    """
    cosines, shuffled = [], []
    for chunk in examination.chunks():
        left, right = (
            model.encode(texts, batch_size=batch_size, normalize_embeddings=True, show_progress_bar=False)
            for texts in (chunk.source, chunk.translation)
        )
        cosines.append(np.einsum("nd,nd->n", left, right))
        shuffled.append(np.einsum("nd,nd->n", left, np.roll(right, 1, axis=0)))
    values, random = np.concatenate(cosines), np.concatenate(shuffled)
    verdict = examination.verdict
    if len(values) < _LEAST_PAIRS:
        verdict.skipped["teacher"] = f"there are fewer than {_LEAST_PAIRS} pairs"
        return
    found = mixture(values, random)
    rows = np.flatnonzero((found.probability >= above) & (examination.flags & bit_of("unreadable") == 0))
    before = examination.flags & examination.drop > 0
    examination.flags[rows] |= np.uint32(bit_of("teacher"))
    for row in rows:
        examination.details[int(row), "teacher"] = f"cosine {values[row]:.2f}"
    verdict.counts["teacher"] = len(rows)
    fresh = int(np.count_nonzero((examination.flags & examination.drop > 0) & ~before))
    verdict.dropped += fresh
    if fresh:
        verdict.reasons["teacher"] = fresh
    verdict.notes.append(
        f"Model check: the model ranks a pair above a random one {found.auc:.0%} of the time; about {found.share:.1%} "
        "of the pairs are no closer than random ones."
    )
    counts, edges = np.histogram(values, bins=40, range=(-0.2, 1.0))
    other = np.histogram(random, bins=edges)[0]
    verdict.histograms.append(
        Histogram("Cosine under the model", edges.tolist(), counts.tolist(), other.tolist(), "random pairs")
    )
    _examples(examination, rows[:5])


def _examples(examination: Examination, rows: np.ndarray) -> None:
    """Add some marked rows to the verdict's examples."""
    place, wanted = 0, set(rows.tolist())
    for chunk in examination.chunks():
        for row in sorted(wanted & set(range(place, place + len(chunk)))):
            here = row - place
            text = Example(
                chunk.numbers[here],
                chunk.source[here][:240],
                chunk.translation[here][:240],
                examination.details[row, "teacher"],
            )
            examination.verdict.examples.setdefault("teacher", []).append(text)
        place += len(chunk)
