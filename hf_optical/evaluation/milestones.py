"""The table that every training ends with: raw, before, aligned, after, ceiling, on every retrieval set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from typing import Any

from hf_optical.data.retrieval import RetrievalSet
from hf_optical.encoders.encoding import Encoder, Interaction
from hf_optical.evaluation.document_cache import DocumentCache
from hf_optical.evaluation.retrieval import RetrievalScores, evaluate_retrieval
from hf_optical.evaluation.significance import Comparison, compare_all

Using = Callable[[str], AbstractContextManager[Any]]
ROWS = {
    "raw": "the teacher reads the query as it is",
    "before": "the untouched student",
    "aligned": "the student with rows aligned in the bitext, before any training",
    "injected": "the student after lexical injection, before distillation",
    "after": "the distilled student",
    "ceiling": "the teacher reads the English query",
    "english_before": "the untouched student reads the English query",
    "english_after": "the distilled student reads the English query",
}
COLUMNS = ("ndcg@10", "mrr@10", "recall@1", "recall@10", "map")


class Milestones:
    """Scores of the teacher and of the student before and after training, against the teacher's own documents.

    Args:
        sets: Retrieval sets; their documents are encoded once, by the teacher.
        teacher: The English retriever that made (or would make) the document index.
        interaction: ``"dense"``, ``"maxsim"`` or ``None`` for the models' own.
        batch_size: Texts per forward pass.
        show_progress: Whether to show progress bars.
        documents: Keeps the documents' vectors, for several runs perhaps; in memory where ``None``.
    """

    def __init__(
        self,
        sets: Sequence[RetrievalSet],
        teacher: Encoder,
        *,
        interaction: Interaction | None = None,
        batch_size: int = 64,
        show_progress: bool = False,
        documents: DocumentCache | None = None,
    ) -> None:
        self.sets = list(sets)
        self.teacher = teacher
        self._options: dict[str, Any] = {
            "interaction": interaction,
            "batch_size": batch_size,
            "show_progress": show_progress,
        }
        self._documents = documents if documents is not None else DocumentCache()
        self.scores: dict[str, dict[int, RetrievalScores]] = {row: {} for row in ROWS}

    def measure(self, row: str, model: Encoder, using: Using | None = None) -> None:
        """Fill one of `ROWS` with a model that reads the queries as they are.

        Args:
            row: The row.
            model: The query encoder.
            using: Makes the model that of a language while its queries are read (``LanguageAdapters.use``).
        """
        for index, item in enumerate(self.sets):
            with using(item.query_language) if using else nullcontext():
                self.scores[row][index] = self._score(model, item, None)

    def measure_ceiling(self) -> None:
        """Fill the row of the teacher on English queries, for the sets that have them."""
        for index, item in enumerate(self.sets):
            if item.english_queries:
                self.scores["ceiling"][index] = self._score(self.teacher, item, item.english_queries)

    def measure_english(self, row: str, model: Encoder) -> None:
        """Fill ``english_before`` or ``english_after``: against the ceiling they say how much English is forgotten.

        Args:
            row: ``before`` or ``after``.
            model: The query encoder.
        """
        for index, item in enumerate(self.sets):
            if item.english_queries:
                self.scores[f"english_{row}"][index] = self._score(model, item, item.english_queries)

    def _score(self, model: Encoder, item: RetrievalSet, queries: dict[str, str] | None) -> RetrievalScores:
        return evaluate_retrieval(
            model, item, self.teacher, queries=queries, document_cache=self._documents, **self._options
        )

    def evaluations(self) -> list[dict[str, Any]]:
        """What ``results.json`` says of every set, with paired tests of ``after`` against ``raw`` and ``before``."""
        found = []
        tests = self._tests()
        for index, item in enumerate(self.sets):
            entry: dict[str, Any] = {"set": item.name, "language": item.query_language, "n": len(item.qrels)}
            for row, scores in self.scores.items():
                entry[row] = {name: scores[index].metrics[name] for name in COLUMNS} if index in scores else None
            entry["n"] = next((scores[index].n for scores in self.scores.values() if index in scores), entry["n"])
            entry["tests"] = {name: asdict(test) for (place, name), test in tests.items() if place == index}
            found.append(entry)
        return found

    def _tests(self) -> dict[tuple[int, str], Comparison]:
        """``after`` against ``raw`` and ``before`` on every set, with Holm's correction over all of them."""
        after = self.scores["after"]
        names = [
            (index, row)
            for row in ("raw", "before", "aligned", "injected")
            for index in after
            if index in self.scores[row]
        ]
        compared = compare_all([(after[index], self.scores[row][index]) for index, row in names]) if names else []
        return {(index, f"after against {row}"): test for (index, row), test in zip(names, compared, strict=True)}

    def per_query(self) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
        """Scores of every query, by set, row and query: what later comparisons are paired on."""
        return {
            f"{item.name}/{item.query_language}": {
                row: scores[index].per_query for row, scores in self.scores.items() if index in scores
            }
            for index, item in enumerate(self.sets)
        }

    def sentences(self) -> str:
        """The verdict of every paired test, in words."""
        return "\n".join(
            f"{name}: {test['verdict']}" for entry in self.evaluations() for name, test in entry["tests"].items()
        )

    def table(self) -> str:
        """The table for people, one line per set and row."""
        width = max([len(f"{item.name} {item.query_language}") for item in self.sets], default=0)
        lines = [f"{'':{width}}  {'n':>5}  {'':14}" + "".join(f"{name:>11}" for name in COLUMNS)]
        for index, item in enumerate(self.sets):
            label = f"{item.name} {item.query_language}"
            for row, scores in self.scores.items():
                if index not in scores:
                    continue
                found = scores[index]
                values = "".join(f"{found.metrics[name]:11.3f}" for name in COLUMNS)
                lines.append(f"{label:{width}}  {found.n:5d}  {row:14}{values}")
                label = ""
        return "\n".join(lines)
