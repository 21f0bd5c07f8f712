"""Typed records of ``results.json``: the results of a run or an evaluation on each retrieval set."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hf_optical.errors import InputError
from hf_optical.results import table_rows
from hf_optical.results.files import PER_QUERY_FILE, RESULTS_FILE

Scores = Mapping[str, float | None]
"""Values by measure; ``None`` if undefined."""
PerQuery = dict[str, dict[str, dict[str, dict[str, float]]]]
"""Scores by ``set/language``, row, query and measure."""


@dataclass
class Evaluation:
    """One entry of ``evaluations``: the scores of a retrieval set in one language, or of one task over several.

    Attributes:
        set: Name of the retrieval set.
        language: FLORES code of the queries; ``mono``, ``cross`` or ``multi`` if documents are in several languages.
        n: Number of queries.
        rows: Scores by row (:mod:`hf_optical.results.table_rows`) of a training run; ``None`` if not measured.
        tests: Paired tests by name, e.g. ``"after against raw"``.
        scores: Scores of the single model of an evaluation, in place of rows.
        intervals: 95 % intervals of ``scores`` by measure.
        document_language: FLORES code of the documents of an evaluation, or ``pooled``.
        task: Task of an evaluation: ``mono``, ``cross`` or ``multi``.
        bias: Language bias by row, if documents are in several languages.
        pairs: Entries of all language pairs by row, if documents are in several languages.
        others: Further keys of the entry.

    Example:
        >>> found = Evaluation.from_json({"set": "s", "language": "swh_Latn", "n": 2, "aligned": {"map": 0.5}})
        >>> found.rows, found.to_json()
        ({'initialized': {'map': 0.5}}, {'set': 's', 'language': 'swh_Latn', 'n': 2, 'initialized': {'map': 0.5}})
    """

    set: str
    language: str
    n: int
    rows: dict[str, Scores | None] = field(default_factory=dict)
    tests: dict[str, dict[str, Any]] | None = None
    scores: Scores | None = None
    intervals: Mapping[str, Sequence[float]] | None = None
    document_language: str | None = None
    task: str | None = None
    bias: Mapping[str, Any] | None = None
    pairs: Mapping[str, Any] | None = None
    others: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Evaluation:
        """Read an entry of this or an older version.

        Raises:
            InputError: ``set``, ``language`` or ``n`` is missing.
        """
        entry = table_rows.with_current_names(entry)
        for key in ("set", "language", "n"):
            if key not in entry:
                raise InputError(
                    "the key is missing in an evaluation", "write the file again with the command", field=key
                )
        found = cls(entry.pop("set"), entry.pop("language"), entry.pop("n"))
        found.rows = {row: entry.pop(row) for row in list(entry) if row in table_rows.MEANINGS}
        for name in ("bias", "pairs"):
            by_row = entry.pop(name, None)
            setattr(found, name, table_rows.with_current_names(by_row) if by_row is not None else None)
        for name in ("tests", "scores", "intervals", "document_language", "task"):
            setattr(found, name, entry.pop(name, None))
        if found.tests is not None:
            found.tests = {_current_test(name): test for name, test in found.tests.items()}
        found.others = entry
        return found

    def to_json(self) -> dict[str, Any]:
        """Return the entry as written to ``results.json``; missing values are left out, except for rows."""
        entry: dict[str, Any] = {"set": self.set, "language": self.language}
        of_an_evaluation = {"document_language": self.document_language, "task": self.task}
        entry |= {name: value for name, value in of_an_evaluation.items() if value is not None}
        entry |= {"n": self.n, **self.rows}
        measured: dict[str, Any] = {
            "scores": self.scores,
            "intervals": self.intervals,
            "tests": self.tests,
            "bias": self.bias,
            "pairs": self.pairs,
        }
        return entry | {name: value for name, value in measured.items() if value is not None} | self.others

    def score(self, row: str, measure: str) -> float | None:
        """Return one number of a row, or ``None`` if it was not measured."""
        return (self.rows.get(row) or {}).get(measure)


@dataclass
class Results:
    """Content of a finished run's ``results.json``.

    Attributes:
        evaluations: The entries of the file.
        content: The whole file, with ``evaluations`` as they were written.
    """

    evaluations: list[Evaluation]
    content: dict[str, Any]

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Results:
        """Make results from the content of a file."""
        return cls([Evaluation.from_json(entry) for entry in content.get("evaluations") or ()], dict(content))


def read_results(folder: str | Path) -> Results:
    """Read ``results.json`` of a folder.

    Raises:
        InputError: There is no such file.
    """
    path = Path(folder) / RESULTS_FILE
    if not path.is_file():
        raise InputError(
            "there is no results.json, so this is not the folder of a finished run",
            "give the --output_dir of a finished run",
            path=folder,
        )
    return Results.from_json(json.loads(path.read_text(encoding="utf-8")))


def kept_step(results: Mapping[str, Any]) -> int | None:
    """Return the step that the held-out pairs chose; ``None`` if they chose none.

    Example:
        >>> kept_step({"held_out": {"choice": {"best_step": 60}}}), kept_step({"held_out": None})
        (60, None)
    """
    choice = (results.get("held_out") or {}).get("choice") or {}
    return choice.get("best_step")


def kept_words(results: Mapping[str, Any]) -> str:
    """Say which step was kept, and whether its weights were averaged with the untrained ones; empty if none was.

    Example:
        >>> kept_words({"held_out": {"choice": {"best_step": 60, "start_share": 0.5, "mean": {"taken": True}}}})
        'step 60 kept, averaged with the untrained student, which counts for 50%'
    """
    kept = kept_step(results)
    if kept is None:
        return ""
    choice = results["held_out"]["choice"]
    if not (choice.get("mean") or {}).get("taken"):
        return f"step {kept:,} kept"
    return f"step {kept:,} kept, averaged with the untrained student, which counts for {choice['start_share']:.0%}"


def read_per_query(folder: str | Path) -> PerQuery:
    """Read the scores of single queries, by ``set/language``, row, query and measure; empty without such a file."""
    path = Path(folder) / PER_QUERY_FILE
    if not path.is_file():
        return {}
    content = json.loads(path.read_text(encoding="utf-8"))
    return {name: table_rows.with_current_names(by_row) for name, by_row in content.items()}


def _current_test(name: str) -> str:
    first, against, second = name.partition(" against ")
    return table_rows.current_name(first) + against + (table_rows.current_name(second) if against else "")
