"""Checks that cost more or need more: the language of each side, and how near a model finds the two sides."""

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

_LEAST_LETTERS = 25
_LEAST_PAIRS = 50


class LanguageCheck:
    """Check that each side is in its language, by :func:`hf_optical.data.identify.identify` (0.15 ms a sentence).

    Args:
        language: FLORES code of the translations; only English is checked where it is None or unknown to the
            identifier.
        confidence: From which another language is believed. Short texts are never judged.
    """

    kind = "language"

    def __init__(self, language: str | None, confidence: float = 0.95) -> None:
        from hf_optical.data.identify import identifiable, identify

        self._identify, self._confidence = identify, confidence
        known = set(identifiable())
        self._expected = (ENGLISH, language if language in known else None)

    def __call__(self, chunk: Chunk) -> dict[int, tuple[str, str]]:
        """The rows of a chunk with a side in another language."""
        found: dict[int, tuple[str, str]] = {}
        for name, texts, expected in zip(
            ("source", "translation"), (chunk.source, chunk.translation), self._expected, strict=True
        ):
            if expected is None:
                continue
            rows = [row for row, text in enumerate(texts) if sum(map(str.isalpha, text)) >= _LEAST_LETTERS]
            for row, (code, sure) in zip(rows, self._identify([texts[row] for row in rows]), strict=True):
                # Scripts are another check, and the identifier does not tell them apart.
                if code[:3] not in ("und", expected[:3]) and sure >= self._confidence:
                    found[row] = "language", f"{name} looks like {code} ({sure:.0%})"
        return found


def check_with_model(examination: Examination, model: Any, *, batch_size: int = 64, above: float = 0.5) -> None:
    """Add how near a model finds the two sides of each pair, against the same sides shuffled.

    Args:
        examination: Its flags and verdict are completed.
        model: A dense encoder that reads both languages (:func:`~hf_optical.encoders.models.load_encoder`). An English
            teacher says little of other languages; the verdict tells how well it ranks true pairs above random ones.
        batch_size: Texts at a time.
        above: Probability of being a random pair from which a row is marked.
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
        verdict.skipped["teacher"] = f"fewer than {_LEAST_PAIRS} pairs"
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
        f"Model check: it ranks a pair above a random one {found.auc:.0%} of the time; about {found.share:.1%} of the "
        "pairs are no closer than random ones."
    )
    counts, edges = np.histogram(values, bins=40, range=(-0.2, 1.0))
    other = np.histogram(random, bins=edges)[0]
    verdict.histograms.append(
        Histogram("Cosine under the model", edges.tolist(), counts.tolist(), other.tolist(), "random pairs")
    )
    _examples(examination, rows[:5])


def _examples(examination: Examination, rows: np.ndarray) -> None:
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
