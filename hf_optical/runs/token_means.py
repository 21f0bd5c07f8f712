"""Mean token vectors of a run's student and of its index, saved with the model for centred scores."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

from hf_optical.encoders.token_means import TokenMeans, token_mean


def save_token_means(
    folder: Path, student: Any, documents: Any, bitext: dict[str, Any], adapters: Any = None, base: str | None = None
) -> None:
    """Compute the mean tokens of the training pairs and write ``token_means.json`` into a model's folder.

    Args:
        folder: Folder of the saved model.
        student: Encoder of the translations, as queries.
        documents: Encoder of the English, as documents: the teacher, or the student if it encodes the index.
        bitext: Rows with columns ``source`` and ``translation``, by FLORES code.
        base: Folder of the student that the adapters were added to, whose means of other languages stay true.
        adapters: The student's language adapters, if any; each language is encoded with its own.
    """
    queries = {}
    for code, rows in bitext.items():
        with adapters.use(code) if adapters is not None else nullcontext():
            queries[code] = token_mean(student, rows["translation"], "query")
    english = next(iter(bitext.values()))["source"]
    earlier = TokenMeans.load(base) if base else None  # languages that the student read before this run
    found = TokenMeans(queries, token_mean(documents, english, "document"))
    (found.joined(earlier) if earlier else found).save(folder)
