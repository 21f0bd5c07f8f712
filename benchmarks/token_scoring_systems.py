"""The encoders of ``benchmarks/token_scoring.py``: untrained grown students, or one multilingual encoder."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from token_scoring_sets import Questions  # beside this file
from token_store import Encoded, encoded

from hf_optical.data.bitext import read_bitext
from hf_optical.encoders.models import load_encoder, save_whole
from hf_optical.students import starting_student


class System:
    """Who reads the queries and who the documents, each text once.

    Args:
        name: ``"grown"``: a student grown from the teacher for each language, its rows aligned in the training bitext
            and nothing trained, over the teacher's index; or the name of a multilingual encoder over its own index.
        model: Id or folder: of the teacher, or of the multilingual encoder.
        data: Holds ``bitext/<code>.train.jsonl.gz``.
        cache: Where students and vectors are kept.
        bfloat16: As in :func:`token_store.encoded`.
        mean_rows: Training pairs of which the mean token of each language is taken.
        students: Trained students of the encoder, ``<code>/model``, that read the queries in its place.
        titles: Whether documents have their titles; their vectors are kept apart from those without.
    """

    def __init__(
        self,
        name: str,
        model: str,
        data: Path,
        cache: Path,
        *,
        bfloat16: bool = False,
        mean_rows: int = 500,
        students: Path | None = None,
        titles: bool = False,
    ) -> None:
        self.name, self.model, self.data, self.cache, self.mean_rows = name, model, data, cache, mean_rows
        self.students, self.titled = students, " titles" if titles else ""
        self.index = cache / (Path(model).name if name != "grown" else name)  # vectors of documents
        self.half = {"bfloat16": bfloat16}

    def documents(self, item: Questions) -> Encoded:
        """The documents of a set."""
        file = self.index / f"{item.corpus}{self.titled}.{len(item.documents)}.documents.npz"
        return encoded(lambda: _loaded(self.model), list(item.documents.values()), "document", file, **self.half)

    def queries(self, item: Questions) -> Encoded:
        """The queries of a set."""
        file = self.cache / self.name / f"{item.asked}.queries.npz"
        return encoded(lambda: self.reader(item.language), list(item.queries.values()), "query", file, **self.half)

    def mean_texts(self, language: str) -> tuple[Encoded, Encoded]:
        """Training pairs: the translations as queries, their English as documents."""
        rows = self._bitext(language)
        rows = rows.shuffle(seed=0).select(range(min(self.mean_rows, len(rows))))
        places = [
            self.cache / self.name / f"means.{language}.queries.npz",
            self.index / f"means.{language}.documents.npz",
        ]
        return (
            encoded(lambda: self.reader(language), rows["translation"], "query", places[0], **self.half),
            encoded(lambda: _loaded(self.model), rows["source"], "document", places[1], **self.half),
        )

    def reader(self, language: str) -> Any:
        """The encoder of a language's queries."""
        if self.students:
            return load_encoder(str(self.students / language / "model"), device="cpu").eval()
        if self.name != "grown":
            return _loaded(self.model)
        folder = self.cache / "students" / language
        if not folder.is_dir():
            save_whole(starting_student("extend", _loaded(self.model), self._bitext(language)), folder)
        return load_encoder(str(folder), device="cpu").eval()

    def _bitext(self, language: str) -> Any:
        return read_bitext(self.data / "bitext" / f"{language}.train.jsonl.gz", language=language)


@cache
def _loaded(model: str) -> Any:
    return load_encoder(model, device="cpu").eval()
