"""Tables of a training on sets with documents in several languages, where one model encodes queries and documents."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from hf_optical.data.reading_notes import reading_notes
from hf_optical.encoders.encoding import Encoder, Interaction
from hf_optical.evaluation.milestones import Using
from hf_optical.evaluation.multilingual import MultilingualScores, evaluate_multilingual
from hf_optical.evaluation.multilingual_set import MultilingualSet
from hf_optical.evaluation.report import multilingual_entries
from hf_optical.evaluation.retrieval import RetrievalScores
from hf_optical.evaluation.scoring import mean_scores
from hf_optical.evaluation.significance import Comparison, compare_all
from hf_optical.results import table_rows
from hf_optical.results.measures import MEASURES
from hf_optical.results.records import Evaluation

TASKS = ("mono", "cross", "multi")
_ROWS = (*table_rows.EARLIER, table_rows.AFTER)


class MultilingualMilestones:
    """Monolingual, cross-lingual and pooled scores, and language bias, of a model before and after training.

    Args:
        sets: Queries and parallel documents in several languages.
        metric: The measure of the table and of the tests.
        interaction: ``"dense"``, ``"maxsim"`` or ``None`` for the model's own.
        batch_size: Texts per forward pass.
        show_progress: Whether to show progress bars.
    """

    def __init__(
        self,
        sets: Sequence[MultilingualSet],
        *,
        metric: str = "map",
        interaction: Interaction | None = None,
        batch_size: int = 64,
        show_progress: bool = False,
    ) -> None:
        self.sets, self.metric = list(sets), metric
        self._options: dict[str, Any] = {
            "interaction": interaction,
            "batch_size": batch_size,
            "show_progress": show_progress,
            "metric": metric,
        }
        self.scores: dict[str, dict[int, MultilingualScores]] = {row: {} for row in _ROWS}

    def measure(self, row: str, model: Encoder, using: Using | None = None) -> None:
        """Fill one row with a model that encodes queries and documents; ``raw`` is the teacher.

        ``using`` is ignored, because queries and documents in several languages are encoded by the same model.
        """
        for index, item in enumerate(self.sets):
            self.scores[row][index] = evaluate_multilingual(model, item, **self._options)

    def measure_ceiling(self) -> None:
        """Do nothing: with documents in several languages there is no upper bound."""

    def measure_bm25(self) -> None:
        """Do nothing: these sets compare one model over languages, and BM25 searches one language at a time."""

    def measure_english(self, row: str, model: Encoder) -> None:
        """Do nothing: English is one of the languages of these sets."""

    def evaluations(self) -> list[Evaluation]:
        """Return the records of every set: three tasks with their tests; the last one has bias and language pairs."""
        tests = self._tests()
        found = []
        for index, item in enumerate(self.sets):
            present = {row: scores[index] for row, scores in self.scores.items() if index in scores}
            found += [
                Evaluation(
                    set=item.name,
                    language=task,
                    n=len(_questions(item)),
                    rows={row: _task_means(present[row], task) if row in present else None for row in _ROWS},
                    tests={
                        name: asdict(test) for (place, of, name), test in tests.items() if (place, of) == (index, task)
                    },
                    others=reading_notes(item.titled, item.titles_read),
                )
                for task in TASKS
            ]
            if present:
                found[-1].bias = {row: asdict(scores.bias) for row, scores in present.items()}
                found[-1].pairs = {
                    row: [entry.to_json() for entry in multilingual_entries(scores)] for row, scores in present.items()
                }
        return found

    def _tests(self) -> dict[tuple[int, str, str], Comparison]:
        """Test ``after`` against every earlier row, per task over the questions, with Holm's correction."""
        after = self.scores[table_rows.AFTER]
        names = [
            (index, task, row)
            for index in after
            for task in TASKS
            for row in table_rows.EARLIER
            if index in self.scores[row]
        ]
        pairs = [
            (self._by_question(after[index], task), self._by_question(self.scores[row][index], task))
            for index, task, row in names
        ]
        compared = compare_all(pairs, self.metric) if pairs else []
        return {
            (index, task, f"{table_rows.AFTER} against {row}"): test
            for (index, task, row), test in zip(names, compared, strict=True)
        }

    @staticmethod
    def _by_question(scores: MultilingualScores, task: str) -> RetrievalScores:
        per_query = question_means(scores)[task]
        return RetrievalScores(scores.set, task, len(per_query), mean_scores(per_query), per_query)

    def per_query(self) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
        """Return every question's mean over the languages by set and task, then by row; it pairs comparisons."""
        return {
            f"{item.name}/{task}": {
                row: question_means(scores[index])[task] for row, scores in self.scores.items() if index in scores
            }
            for index, item in enumerate(self.sets)
            for task in TASKS
        }

    def sentences(self) -> str:
        """Return a sentence for every paired test."""
        return "\n".join(
            f"{self.sets[index].name} {task}, {name}: {test.verdict}"
            for (index, task, name), test in self._tests().items()
        )

    def table(self) -> str:
        """Format the table of tasks and bias as text, one line per set and row."""
        columns = (*(f"{task} {self.metric}" for task in TASKS), "rank distance", "rank corr.", "worst language")
        width = max([len(item.name) for item in self.sets], default=0)
        lines = [f"{'':{width}}  {'':8}" + "".join(f"{name:>20}" for name in columns)]
        for index, item in enumerate(self.sets):
            label = item.name
            for row, scores in self.scores.items():
                if index in scores:
                    lines.append(f"{label:{width}}  {row:8}" + self._line(scores[index]))
                    label = ""
        return "\n".join(lines)

    def _line(self, scores: MultilingualScores) -> str:
        summary, bias = scores.summary(self.metric), scores.bias
        cells = ["-" if value is None else f"{value:.3f}" for value in summary.values()]
        cells += [f"{bias.rank_distance:.1f}", f"{bias.mean_rank_correlation:.3f}"]
        return "".join(f"{cell:>20}" for cell in [*cells, f"{bias.worst_language} {bias.worst_score:.3f}"])


def question_means(scores: MultilingualScores) -> dict[str, dict[str, dict[str, float]]]:
    """Average every question's measures over the languages or language pairs that have it, by task.

    One question in four languages is not four independent observations: tests between models treat it as one.

    Args:
        scores: Scores of one model.

    Returns:
        Task (``mono``, ``cross``, ``multi``), question, measure.
    """
    groups = {
        "mono": list(scores.monolingual.values()),
        "cross": list(scores.cross_lingual.values()),
        "multi": list(scores.pooled.values()),
    }
    return {task: _means(found) for task, found in groups.items()}


def _means(found: Sequence[RetrievalScores]) -> dict[str, dict[str, float]]:
    collected: dict[str, list[dict[str, float]]] = defaultdict(list)
    for scores in found:
        for query, values in scores.per_query.items():
            collected[query].append(values)
    return {
        query: {name: float(np.mean([one[name] for one in values])) for name in values[0]}
        for query, values in collected.items()
    }


def _task_means(scores: MultilingualScores, task: str) -> dict[str, float | None]:
    return {name: scores.summary(name)[task] for name in MEASURES}


def _questions(item: MultilingualSet) -> set[str]:
    return {query for queries in item.queries.values() for query in queries}
