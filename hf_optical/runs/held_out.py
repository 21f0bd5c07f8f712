"""Held-out pairs of a run: validation during training and the report at the end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from hf_optical.data.retrieval import RetrievalSet
from hf_optical.evaluation.bm25 import bm25_run
from hf_optical.evaluation.fusion import fuse_runs, ranked
from hf_optical.evaluation.held_out import MEASURE, HeldOutRetrieval, HeldOutScore, Using, held_out_sets
from hf_optical.evaluation.retrieval import RetrievalScores, scores_of_run
from hf_optical.evaluation.significance import compare_all
from hf_optical.figures.training_curve import training_curve
from hf_optical.results import table_rows
from hf_optical.results.files import HELD_OUT_PER_QUERY_FILE, write_json
from hf_optical.runs.evaluation_panels import EvaluationPanels
from hf_optical.runs.options import TrainConfig
from hf_optical.runs.shared_folder import SharedFolder
from hf_optical.runs.training_data import TrainingData
from hf_optical.training.held_out_choice import HeldOutChoice, validation_interval

FOLDER = "held_out"
_SHOWN = 3  # documents of a ranking that are kept for the report
_ORDER = (
    *(table_rows.RAW, table_rows.BM25),
    *(*table_rows.OF_THE_START, table_rows.AFTER, table_rows.FUSED, table_rows.CEILING),
)
_COLUMNS = ("ndcg@10", "mrr@10", "recall@1", "recall@10", "map")


def sets_of(data: TrainingData, seed: int) -> list[RetrievalSet]:
    """The retrieval sets of the held-out pairs, of all languages: two each."""
    return [
        item
        for language, rows in data.held_out.items()
        for item in held_out_sets(rows, data.bitext[language], language, seed=seed)
    ]


class HeldOutRun:
    """Held-out pairs of one run, searched in the teacher's index.

    Args:
        config: The run's options, with defaults filled in.
        data: The training data, with held-out pairs.
        teacher: Encoder of the index.
        documents: Source of the index's vectors; by default the teacher encodes them, and they are kept in the shared
            folder.
    """

    def __init__(self, config: TrainConfig, data: TrainingData, teacher: Any, documents: Any = None) -> None:
        self._config = config
        self._folder = Path(config.output_dir) / FOLDER
        sets = sets_of(data, config.seed)
        self.pairs = {language: len(rows) for language, rows in data.held_out.items()}
        documents = documents if documents is not None else SharedFolder(config.shared).sentences()
        self.index = HeldOutRetrieval(sets, teacher, interaction=config.interaction, documents=documents)
        self._teacher = teacher
        self._start = table_rows.INITIALIZED if config.aligns_new_pieces else table_rows.BEFORE
        self._rows: dict[str, list[RetrievalScores]] = {}
        self._best: dict[str, list[dict[str, list[str]]]] = {}  # first documents by row, set and query
        self._words: list[dict[str, dict[str, float]]] = []  # runs of BM25
        self.choice: HeldOutChoice | None = None

    @classmethod
    def of(cls, config: TrainConfig, data: TrainingData, teacher: Any, documents: Any = None) -> HeldOutRun | None:
        """Make the held-out pairs of a run, or return None if no pairs are held out."""
        return cls(config, data, teacher, documents) if data.held_out else None

    def callback(
        self, using: Using | None, log: Callable[[dict[str, float]], Any], *, start_share: float = 0.0
    ) -> HeldOutChoice:
        """Make the callback that validates training and logs; for ``using`` see `HeldOutRetrieval.scores`."""
        steps = self._config.max_steps or 1
        self.choice = HeldOutChoice(
            lambda model: self._score(model, using),
            self._folder,
            every=self._config.eval_steps or validation_interval(steps),
            patience=self._config.patience,
            start_share=start_share,
            say=tqdm.write,
            log=log,
        )
        return self.choice

    def measure_start(self, student: Any, using: Using | None = None) -> None:
        """Fill the row of the untrained student: ``initialized`` if it has rows from the bitext, else ``before``."""
        self.measure(self._start, student, using)

    def measure(self, row: str, model: Any, using: Using | None = None) -> None:
        """Fill a row of the table, such as ``raw`` or ``after``; ``raw`` also fills the ceiling."""
        found = self.index.scores(model, using)
        self._keep(row, found)
        if row == table_rows.RAW:
            self._keep(table_rows.CEILING, self.index.scores(self._teacher, queries="english"))
        if row == table_rows.AFTER and self._words:
            runs = zip(found, self._words, strict=True)
            self._keep_runs(table_rows.FUSED, [fuse_runs([scores.run or {}, words]) for scores, words in runs])

    def measure_bm25(self) -> None:
        """Fill the row of BM25; from then on ``after`` is also fused with it, in the row ``fused``."""
        self._words = [bm25_run(item) for item in self.index.sets]
        self._keep_runs(table_rows.BM25, self._words)

    def _score(self, model: Any, using: Using | None) -> HeldOutScore:
        found = self.index.scores(model, using)
        if self._start not in self._rows:  # the first validation is of the untrained student
            self._keep(self._start, found)
        return self.index.summed_up(found)

    def _keep(self, row: str, found: list[RetrievalScores]) -> None:
        self._rows[row] = [replace(scores, run=None) for scores in found]
        self._best[row] = [
            {query: ranked(documents)[:_SHOWN] for query, documents in (scores.run or {}).items()} for scores in found
        ]

    def _keep_runs(self, row: str, runs: Sequence[dict[str, dict[str, float]]]) -> None:
        pairs = zip(self.index.sets, runs, strict=True)
        self._keep(row, [replace(scores_of_run(item, run), run=run) for item, run in pairs])

    def rankings(self) -> list[tuple[RetrievalSet, dict[str, RetrievalScores], dict[str, dict[str, list[str]]]]]:
        """Return the scores by row and the first documents by row and query of each set, as `EvaluationPanels` does."""
        return [
            (
                item,
                {row: scores[place] for row, scores in self._rows.items()},
                {row: best[place] for row, best in self._best.items()},
            )
            for place, item in enumerate(self.index.sets)
        ]

    def queries(self) -> list[str]:
        """Return the queries of the first set."""
        return list(self.index.sets[0].queries.values())

    def sentences(self) -> list[str]:
        """Return a sentence for every test."""
        return [
            f"{self.index.sets[place].name} {self.index.sets[place].query_language}, {name}: {test.verdict}"
            for (place, name), test in self._tests().items()
        ]

    def report(self) -> dict[str, Any]:
        """Return the entry of ``results.json``: pairs, scores with paired tests of ``after``, curve and kept step.

        The scores of single queries are written into the file `HELD_OUT_PER_QUERY_FILE`.
        """
        write_json(Path(self._config.output_dir) / HELD_OUT_PER_QUERY_FILE, self._per_query())
        entries = []
        tests = self._tests()
        for place, item in enumerate(self.index.sets):
            entry: dict[str, Any] = {"set": item.name, "language": item.query_language, "n": len(item.qrels)}
            entry["documents"] = len(item.corpus)
            for row, scores in self._rows.items():
                entry[row] = {name: scores[place].metrics[name] for name in _COLUMNS}
            entry["tests"] = {name: asdict(test) for (where, name), test in tests.items() if where == place}
            entries.append(entry)
        choice = self.choice.summary() if self.choice else None
        return {"pairs": self.pairs, "evaluations": entries, "choice": choice}

    def draw(self, history: list[dict[str, Any]]) -> Path | None:
        """Draw the curve into ``figures/``; return None if nothing was trained."""
        if self.choice is None or not self.choice.readings or self.choice.best is None:
            return None
        readings = self.choice.readings
        curves = {"mean, by which the step is chosen": [(float(r.step), r.value) for r in readings]}
        for name in readings[0].parts:
            curves[name] = [(float(reading.step), reading.parts[name]) for reading in readings]
        mean = self.choice.taken_mean
        loss = [(float(log["step"]), float(log["loss"])) for log in history if "loss" in log and "step" in log]
        picture = training_curve(
            curves,
            loss,
            self.choice.best.step,
            title=", ".join(self.pairs),
            measure=MEASURE.replace("ndcg", "nDCG"),
            mean=None if mean is None else mean.value,
        )
        return picture.save(Path(self._config.output_dir) / "figures" / "training.svg")

    def text(self) -> str:
        """Format the table as text; the kept step has been printed at the end of the training."""
        names = [f"{item.name} {item.query_language}" for item in self.index.sets]
        width = max(len(name) for name in names)
        order = [row for row in _ORDER if row in self._rows]
        lines = [f"{'nDCG@10':{width}}  {'n':>5}" + "".join(f"{row:>13}" for row in order)]
        for place, (name, item) in enumerate(zip(names, self.index.sets, strict=True)):
            values = "".join(f"{self._rows[row][place].metrics[MEASURE]:13.3f}" for row in order)
            lines.append(f"{name:{width}}  {len(item.qrels):5d}{values}")
        lines += self.sentences()
        return "\n".join(lines)

    def _per_query(self) -> dict[str, dict[str, dict[str, float]]]:
        return {
            f"{item.name}/{item.query_language}": {
                row: {query: found[MEASURE] for query, found in scores[place].per_query.items()}
                for row, scores in self._rows.items()
            }
            for place, item in enumerate(self.index.sets)
        }

    def _tests(self) -> dict[tuple[int, str], Any]:
        """Test ``after`` against the rows before it, and ``fused`` against its parts.

        Optimistic for ``after``: these queries chose the step.
        """
        pairs = [(table_rows.AFTER, row) for row in (table_rows.RAW, table_rows.BM25, self._start)]
        pairs += [(table_rows.FUSED, row) for row in (table_rows.BM25, table_rows.AFTER)]
        names = [
            (place, new, old)
            for new, old in pairs
            if new in self._rows and old in self._rows
            for place in range(len(self.index.sets))
        ]
        found = compare_all([(self._rows[new][place], self._rows[old][place]) for place, new, old in names])
        return {(place, f"{new} against {old}"): test for (place, new, old), test in zip(names, found, strict=True)}


def measure_bm25(config: TrainConfig, panels: EvaluationPanels, held_out: HeldOutRun | None) -> None:
    """Fill the row of BM25 on the retrieval sets of a run and on its held-out pairs."""
    panels.measure_bm25()
    if held_out:
        held_out.measure_bm25()
    elif not config.eval:
        print("BM25 is measured on retrieval sets and held-out pairs, and there is neither: add --eval FOLDER")
