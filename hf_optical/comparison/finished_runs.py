"""Compare two finished runs query by query, without a matrix of arms and seeds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_optical.data.languages import ENGLISH
from hf_optical.errors import InputError
from hf_optical.evaluation.retrieval import RetrievalScores
from hf_optical.evaluation.scoring import mean_scores
from hf_optical.evaluation.significance import Comparison, compare_all
from hf_optical.results.files import HELD_OUT_PER_QUERY_FILE, RESULTS_FILE
from hf_optical.results.measures import MAIN_MEASURE
from hf_optical.results.records import read_per_query, read_results
from hf_optical.results.table_rows import AFTER


@dataclass(frozen=True)
class RunPair:
    """Result on one retrieval set on which both runs were measured.

    Attributes:
        place: The set and its language.
        first: The trained student of the first run.
        second: The trained student of the second run.
        test: Test of the second against the first.
    """

    place: str
    first: RetrievalScores
    second: RetrievalScores
    test: Comparison

    def text(self, metric: str) -> str:
        """Format the scores and the verdict on one line."""
        scores = f"{self.first.metrics[metric]:.3f} and {self.second.metrics[metric]:.3f}"
        return f"{self.place}: {scores}; the second against the first: {self.test.verdict}"


def compare_runs(folders: Sequence[str | Path], metric: str = MAIN_MEASURE) -> list[RunPair]:
    """Test the trained students of two runs against each other on every set on which both were measured.

    Where they share no retrieval set (``--eval``), their held-out pairs are compared, if both held out the same pairs.
    Folders of ``hf-optical evaluate`` are compared too, for sets that came later.

    There is one run of each, so the tests tell whether these two models would differ on other queries, and not whether
    repeating the trainings would give the same order.

    Args:
        folders: Output folders of two finished trainings or evaluations.
        metric: The measure tested.

    Returns:
        One entry per set and language, Holm-corrected over all of them.

    Raises:
        InputError: There are not two folders, one is not a finished run, they share no set, or a set has different
            queries.
    """
    if len(folders) != 2:
        raise InputError(f"found {len(folders)} runs", "name the output folders of two finished runs", field="runs")
    first, second = (_scores(Path(folder)) for folder in folders)
    if not set(first) & set(second) and _hold_out_the_same(*folders):
        first, second = (_held_out_scores(Path(folder)) for folder in folders)
    if not first and not second and all((Path(folder) / HELD_OUT_PER_QUERY_FILE).is_file() for folder in folders):
        raise InputError(
            "the two runs held out different pairs, and neither was measured on a retrieval set",
            "give two trainings that were measured on one retrieval set; where the second went on from the first, its "
            "rows 'before' (the earlier student) and 'after' are the comparison",
            path=str(folders[1]),
        )
    places = [place for place in first if place in second]
    if not places:
        listed = [
            f"{folder} has {_listed(Path(folder), found)}"
            for folder, found in zip(folders, (first, second), strict=True)
        ]
        raise InputError(
            f"the runs share no retrieval set: {', '.join(listed)}",
            "measure both models on one retrieval set with hf-optical evaluate, and give those two folders",
            path=str(folders[1]),
        )
    for place in places:
        if set(first[place].per_query) != set(second[place].per_query):
            raise InputError(
                f"{place} has different queries in the second run",
                "measure both models on the same files",
                path=str(folders[1]),
            )
    tests = compare_all([(second[place], first[place]) for place in places], metric)
    return [RunPair(place, first[place], second[place], test) for place, test in zip(places, tests, strict=True)]


def _scores(folder: Path) -> dict[str, RetrievalScores]:
    read_results(folder)  # raises an error if it is not a finished run
    content: dict[str, Any] = dict(read_per_query(folder))
    if found := {place: _of_set(place, rows[AFTER]) for place, rows in content.items() if AFTER in rows}:
        return found
    # An evaluation has no rows: the scores of one model by set, language of the queries, and language of the documents.
    single = {place: rows for place, rows in content.items() if rows and all(MAIN_MEASURE in x for x in rows.values())}
    named = {place.removesuffix(f"/{ENGLISH}"): rows for place, rows in single.items()}
    return {place: _of_set(place, rows) for place, rows in named.items()}


def _held_out_scores(folder: Path) -> dict[str, RetrievalScores]:
    """Scores of single held-out pairs; they chose the step that was kept, in both runs."""
    content = json.loads((folder / HELD_OUT_PER_QUERY_FILE).read_text(encoding="utf-8"))
    return {
        place: _of_set(place, {query: {MAIN_MEASURE: score} for query, score in rows[AFTER].items()})
        for place, rows in content.items()
        if AFTER in rows
    }


def _listed(folder: Path, found: Mapping[str, RetrievalScores]) -> str:
    """List the sets on which a run has scores of single queries, with those of its held-out pairs."""
    own = _held_out_scores(folder) if (folder / HELD_OUT_PER_QUERY_FILE).is_file() else {}
    sets = [*found, *(f"{place} (pairs that it held out itself)" for place in own if place not in found)]
    return " and ".join(sets) or "none with scores of single queries"


def _hold_out_the_same(*folders: str | Path) -> bool:
    """Whether two runs read the same bitext and drew the same pairs from it."""
    if not all((Path(folder) / HELD_OUT_PER_QUERY_FILE).is_file() for folder in folders):
        return False
    first, second = (_draw(json.loads((Path(folder) / RESULTS_FILE).read_text(encoding="utf-8"))) for folder in folders)
    return first == second


def _draw(results: Mapping[str, Any]) -> tuple[Any, ...]:
    config = results.get("config") or {}
    files = [item.get("sha256") for item in results.get("data") or [] if item.get("rows")]
    return (*files, *(config.get(name) for name in ("seed", "held_out", "max_pairs", "on_bad_rows")))


def _of_set(place: str, per_query: dict[str, dict[str, float]]) -> RetrievalScores:
    name, _, language = place.rpartition("/")
    return RetrievalScores(name, language, len(per_query), mean_scores(per_query), per_query)
