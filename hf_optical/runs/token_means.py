"""The mean tokens of a run's student and of its index, saved with the model for scores that are centred on them."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

from hf_optical.encoders.token_means import TokenMeans, token_mean


def save_token_means(folder: Path, student: Any, documents: Any, bitext: dict[str, Any], adapters: Any = None) -> None:
    """Take the means of the training pairs and write ``token_means.json`` into a model's folder.

    Args:
        folder: The saved model's.
        student: Reads the translations, as queries.
        documents: Reads the English, as documents: the teacher, or the student where the index is its own.
        bitext: Rows with ``source`` and ``translation``, by FLORES code.
        adapters: The student's, if it has some: each language is read through its own.
    """
    queries = {}
    for code, rows in bitext.items():
        with adapters.use(code) if adapters is not None else nullcontext():
            queries[code] = token_mean(student, rows["translation"], "query")
    english = next(iter(bitext.values()))["source"]
    TokenMeans(queries, token_mean(documents, english, "document")).save(folder)
