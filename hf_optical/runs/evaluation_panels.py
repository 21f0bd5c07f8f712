"""Evaluation of a run: sets searched in the teacher's index, or sets whose documents the student encodes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hf_optical.data.benchmarks import retrieval_folder
from hf_optical.data.languages import ENGLISH
from hf_optical.data.retrieval import RetrievalSet, read_retrieval_set, retrieval_languages
from hf_optical.encoders.encoding import bars_named
from hf_optical.errors import InputError
from hf_optical.evaluation.milestones import Milestones, Using
from hf_optical.evaluation.multilingual_milestones import MultilingualMilestones
from hf_optical.evaluation.multilingual_set import MultilingualSet, read_multilingual_set
from hf_optical.evaluation.retrieval import RetrievalScores
from hf_optical.places import distinct_names
from hf_optical.results import table_rows
from hf_optical.results.records import Evaluation
from hf_optical.runs.options import TrainConfig
from hf_optical.runs.shared_folder import SharedFolder


class EvaluationPanels:
    """The evaluation tables of a run, which are filled together.

    The constructor reads the sets, so that a faulty one stops the run before training.

    Args:
        config: The run's options; ``reads_index_of`` determines the kind of table for each folder.
        languages: FLORES codes of the languages of the run.

    Raises:
        InputError: A folder has none of the languages, or is inconsistent.
    """

    def __init__(self, config: TrainConfig, languages: Sequence[str]) -> None:
        self._config = config
        self.names = names = _names(config)
        reading: dict[str, Any] = {"use_titles": config.titles, "on_problem": config.on_problem}
        self._sets = [
            read_retrieval_set(folder, language, name=names[folder], **reading)
            for folder in config.eval
            if config.reads_index_of == "teacher"
            for language in _taught(folder, languages)
        ]
        self._sets += [
            read_retrieval_set(folder, ENGLISH, name=names[folder], **reading) for folder in config.english_eval
        ]
        asked = [ENGLISH, *languages]
        self._multilingual = [
            read_multilingual_set(
                folder,
                query_languages=_present(folder, "queries", asked),
                document_languages=_present(folder, "documents", asked),
                name=names[folder],
                **reading,
            )
            for folder in config.eval
            if config.reads_index_of == "student"
        ]
        self._panels: list[Milestones | MultilingualMilestones] = []
        self._english = bool(config.measure_english)

    @property
    def sets(self) -> list[RetrievalSet]:
        """Return the sets that are searched in the teacher's index."""
        return list(self._sets)

    @property
    def multilingual(self) -> list[MultilingualSet]:
        """Return the sets whose documents the student encodes itself."""
        return list(self._multilingual)

    def attach(self, teacher: Any, *, show_progress: bool = False, documents: Any = None) -> None:
        """Set the encoder of the index once it is loaded.

        Args:
            teacher: The encoder, or an object that stands in for it.
            show_progress: Whether to show progress bars.
            documents: Source of the documents' vectors; by default they are encoded, and kept in the shared folder or
                the user's cache.
        """
        options: dict[str, Any] = {"interaction": self._config.interaction, "show_progress": show_progress}
        if self._sets:
            documents = documents if documents is not None else SharedFolder(self._config.shared).documents()
            self._panels.append(Milestones(self._sets, teacher, documents=documents, **options))
        if self._multilingual:
            self._panels.append(MultilingualMilestones(self._multilingual, **options))

    def measure(self, row: str, model: Any, using: Using | None = None) -> None:
        """Fill one row of every table; for ``using`` see `Milestones.measure`."""
        with bars_named(row):
            for panel in self._panels:
                panel.measure(row, model, using)
                if self._english and row in (table_rows.BEFORE, table_rows.AFTER):
                    panel.measure_english(row, model)

    def measure_ceiling(self) -> None:
        """Fill the row of the teacher on English queries, if there are any."""
        with bars_named(table_rows.CEILING):
            for panel in self._panels:
                panel.measure_ceiling()

    def measure_off_the_shelf(self, encoder: Any) -> None:
        """Fill the row of a multilingual encoder over an index of its own, in the tables of the teacher's index."""
        with bars_named(table_rows.OFF_THE_SHELF):
            for panel in self._panels:
                if isinstance(panel, Milestones):
                    panel.measure_off_the_shelf(encoder)

    def measure_bm25(self) -> None:
        """Fill the row of BM25; the trained student is then also fused with BM25."""
        for panel in self._panels:
            panel.measure_bm25()

    def queries(self) -> dict[str, list[str]]:
        """Return the queries of the sets in the teacher's index, by language."""
        found: dict[str, list[str]] = {}
        for item in self._sets:
            found.setdefault(item.query_language, []).extend(item.queries.values())
        return found

    def evaluations(self) -> list[Evaluation]:
        """Return the records of all tables, for ``results.json``."""
        return [entry for panel in self._panels for entry in panel.evaluations()]

    def per_query(self) -> dict[str, Any]:
        """Return scores by query, for ``per_query.json``."""
        return {name: rows for panel in self._panels for name, rows in panel.per_query().items()}

    def rankings(self) -> list[tuple[RetrievalSet, dict[str, RetrievalScores], dict[str, dict[str, list[str]]]]]:
        """Return the scores by row and the first documents by row and query of each set in the teacher's index."""
        return [
            (item, {row: of[index] for row, of in panel.scores.items() if index in of}, panel.best[index])
            for panel in self._panels
            if isinstance(panel, Milestones)
            for index, item in enumerate(panel.sets)
        ]

    def rows(self) -> list[str]:
        """Return the rows that were measured, in the order of the tables."""
        measured = {row for panel in self._panels for row, of in panel.scores.items() if of}
        return [row for row in table_rows.MEANINGS if row in measured]

    def table(self) -> str:
        """Format all tables as text."""
        return "\n\n".join(panel.table() for panel in self._panels)

    def sentences(self) -> str:
        """Return a sentence for every test."""
        return "\n".join(panel.sentences() for panel in self._panels)


def _names(config: TrainConfig) -> dict[str, str]:
    """Give each set a unique name; an English set may be the same folder as another set."""
    folders = {item: retrieval_folder(item).resolve() for item in (*config.eval, *config.english_eval)}
    distinct_names([folders[item] for item in config.eval], "eval")  # without duplicates
    places = list(dict.fromkeys(folders.values()))
    by_place = dict(zip(places, distinct_names(places), strict=True))
    return {item: by_place[folder] for item, folder in folders.items()}


def _taught(folder: str, languages: Sequence[str]) -> list[str]:
    """Return the languages for which a folder has queries; for a single language the reader reports what is missing."""
    if len(languages) == 1:
        return list(languages)
    return _present(folder, "queries", languages)


def _present(folder: str, side: str, languages: Sequence[str]) -> list[str]:
    found = retrieval_languages(folder)[side]
    present = [language for language in languages if language in found]
    if not present:
        raise InputError(
            f"the folder has {side} in {', '.join(found) or 'no language that its file names say'}, but in none of "
            f"{', '.join(languages)}",
            "give a folder with one of these languages",
            path=folder,
        )
    return present
