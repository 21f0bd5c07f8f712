"""Table of scores at the end of a training: one line per retrieval set and row of `results.table_rows`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from typing import Any

from hf_optical.data.retrieval import RetrievalSet
from hf_optical.encoders.encoding import Encoder, Interaction
from hf_optical.evaluation.bm25 import bm25_run
from hf_optical.evaluation.document_cache import DocumentCache
from hf_optical.evaluation.fusion import fuse_runs, ranked
from hf_optical.evaluation.retrieval import RetrievalScores, evaluate_retrieval, scores_of_run
from hf_optical.evaluation.significance import Comparison, compare_all
from hf_optical.results import table_rows
from hf_optical.results.measures import MEASURES
from hf_optical.results.records import Evaluation

_BEST = 3  # number of documents kept per query for the report

Using = Callable[[str], AbstractContextManager[Any]]


class Milestones:
    """Scores of the teacher and of the student before and after training, against the teacher's own documents.

    Args:
        sets: Retrieval sets, whose documents the teacher encodes once.
        teacher: The English retriever that made (or would make) the document index.
        interaction: ``"dense"``, ``"maxsim"`` or ``None`` for the models' own.
        batch_size: Texts per forward pass.
        show_progress: Whether to show progress bars.
        documents: Cache of the documents' vectors, which several runs may share; in memory if ``None``.
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
        self.best: list[dict[str, dict[str, list[str]]]] = [{} for _ in self.sets]
        """The first documents found by each set, row and query."""
        self._words: dict[int, dict[str, dict[str, float]]] = {}  # run of BM25
        self.scores: dict[str, dict[int, RetrievalScores]] = {row: {} for row in table_rows.OF_A_RUN}

    def measure(self, row: str, model: Encoder, using: Using | None = None) -> None:
        """Fill one row of :mod:`hf_optical.results.table_rows` with a model that encodes the untranslated queries.

        Args:
            row: The row.
            model: The query encoder.
            using: Context manager that selects a language's adapter while its queries are encoded
                (``LanguageAdapters.use``).
        """
        for index, item in enumerate(self.sets):
            with using(item.query_language) if using else nullcontext():
                found = self._score(model, item, None, keep_run=True)
            self._keep(row, index, found, found.run or {})
            if row == table_rows.AFTER and index in self._words:
                run = fuse_runs([found.run or {}, self._words[index]])
                self._keep(table_rows.FUSED, index, scores_of_run(item, run), run)

    def _keep(self, row: str, index: int, scores: RetrievalScores, run: dict[str, dict[str, float]]) -> None:
        self.scores[row][index] = replace(scores, run=None)
        self.best[index][row] = {query: ranked(found)[:_BEST] for query, found in run.items()}

    def measure_off_the_shelf(self, encoder: Encoder) -> None:
        """Fill the row of a multilingual encoder that reads queries and documents itself, over an index of its own."""
        for index, item in enumerate(self.sets):
            found = evaluate_retrieval(encoder, item, document_cache=self._documents, keep_run=True, **self._options)
            self._keep(table_rows.OFF_THE_SHELF, index, found, found.run or {})

    def measure_bm25(self) -> None:
        """Fill the row of BM25; from then on ``after`` is also fused with it, in the row ``fused``."""
        for index, item in enumerate(self.sets):
            self._words[index] = bm25_run(item)
            self._keep(table_rows.BM25, index, scores_of_run(item, self._words[index]), self._words[index])

    def measure_ceiling(self) -> None:
        """Fill the row of the teacher on English queries, for the sets that have them."""
        for index, item in enumerate(self.sets):
            if item.english_queries:
                self.scores[table_rows.CEILING][index] = self._score(self.teacher, item, item.english_queries)

    def measure_english(self, row: str, model: Encoder) -> None:
        """Fill ``english_before`` or ``english_after``, which show against the ceiling how much English is forgotten.

        Args:
            row: ``before`` or ``after``.
            model: The query encoder.
        """
        english = {table_rows.BEFORE: table_rows.ENGLISH_BEFORE, table_rows.AFTER: table_rows.ENGLISH_AFTER}[row]
        for index, item in enumerate(self.sets):
            if item.english_queries:
                self.scores[english][index] = self._score(model, item, item.english_queries)

    def _score(
        self, model: Encoder, item: RetrievalSet, queries: dict[str, str] | None, *, keep_run: bool = False
    ) -> RetrievalScores:
        return evaluate_retrieval(
            model,
            item,
            self.teacher,
            queries=queries,
            document_cache=self._documents,
            keep_run=keep_run,
            **self._options,
        )

    def evaluations(self) -> list[Evaluation]:
        """Return the record of every set, with paired tests of ``after`` against the rows before it."""
        tests = self._tests()
        return [
            Evaluation(
                set=item.name,
                language=item.query_language,
                n=next((scores[index].n for scores in self.scores.values() if index in scores), len(item.qrels)),
                rows={row: self._measures(row, index) for row in self.scores},
                tests={name: asdict(test) for (place, name), test in tests.items() if place == index},
                others=item.notes(),
            )
            for index, item in enumerate(self.sets)
        ]

    def _measures(self, row: str, index: int) -> dict[str, float] | None:
        scores = self.scores[row].get(index)
        return {name: scores.metrics[name] for name in MEASURES} if scores is not None else None

    def _tests(self) -> dict[tuple[int, str], Comparison]:
        """Test ``after`` against the rows before it, and ``fused`` against its parts, with Holm's correction."""
        pairs = [(table_rows.AFTER, row) for row in table_rows.EARLIER]
        pairs += [(table_rows.FUSED, row) for row in (table_rows.BM25, table_rows.AFTER)]
        names = [(index, new, old) for new, old in pairs for index in self.scores[new] if index in self.scores[old]]
        scores = [(self.scores[new][index], self.scores[old][index]) for index, new, old in names]
        compared = compare_all(scores) if names else []
        return {(index, f"{new} against {old}"): test for (index, new, old), test in zip(names, compared, strict=True)}

    def per_query(self) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
        """Return the scores of every query by set, row and query, which pair later comparisons."""
        return {
            f"{item.name}/{item.query_language}": {
                row: scores[index].per_query for row, scores in self.scores.items() if index in scores
            }
            for index, item in enumerate(self.sets)
        }

    def sentences(self) -> str:
        """Return a sentence for every paired test."""
        return "\n".join(
            f"{self.sets[index].name} {self.sets[index].query_language}, {name}: {test.verdict}"
            for (index, name), test in self._tests().items()
        )

    def table(self) -> str:
        """Format the table as text, one line per set and row."""
        width = max([len(f"{item.name} {item.query_language}") for item in self.sets], default=0)
        lines = [f"{'':{width}}  {'n':>5}  {'':14}" + "".join(f"{name:>11}" for name in MEASURES)]
        for index, item in enumerate(self.sets):
            label = f"{item.name} {item.query_language}"
            for row, scores in self.scores.items():
                if index not in scores:
                    continue
                found = scores[index]
                values = "".join(f"{found.metrics[name]:11.3f}" for name in MEASURES)
                lines.append(f"{label:{width}}  {found.n:5d}  {row:14}{values}")
                label = ""
        return "\n".join(lines)
