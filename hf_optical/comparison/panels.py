"""Side panels of a report: English that the students forget, their language bias, and their cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from hf_optical.comparison.collect import Collected
from hf_optical.comparison.tables import COSTS, Table
from hf_optical.comparison.verdicts import number, p_value
from hf_optical.evaluation.paired_statistics import holm, paired_tests
from hf_optical.evaluation.tasks import row_name
from hf_optical.results.table_rows import CEILING


def english_rows(found: Collected) -> list[dict[str, Any]]:
    """Compare each trained student on English queries with the teacher.

    Returns:
        For each set, language and arm: ``mean``, the teacher's ``ceiling``, ``difference`` with its ``interval``, and
        ``p_holm`` of the paired randomisation test, corrected over all of them.
    """
    rows = []
    for item in found.items:
        ceiling = item.systems.get(CEILING)
        for arm, scores in item.english.items():
            if ceiling is None:
                continue
            averaged = scores.mean(axis=0)
            tests = paired_tests((averaged - ceiling[0])[:, None])
            rows.append(
                {
                    "set": item.set,
                    "language": item.language,
                    "arm": arm,
                    "mean": float(averaged.mean()),
                    "ceiling": float(ceiling.mean()),
                    "difference": float(tests.difference[0]),
                    "interval": tests.interval[0].tolist(),
                    "p": float(tests.p[0]),
                }
            )
    for row, corrected in zip(rows, holm([row["p"] for row in rows]) if rows else [], strict=True):
        row["p_holm"] = corrected
    return rows


def english_table(found: Sequence[Mapping[str, Any]], metric: str) -> Table | None:
    """Format the rows of :func:`english_rows` as a table; ``None`` where no run measured English."""
    rows = [
        [
            f"{row['arm']}, {row_name(row['language'])}, {row['set']}",
            number(row["mean"]),
            number(row["ceiling"]),
            number(row["difference"], sign=True),
            f"{number(row['interval'][0], sign=True)} to {number(row['interval'][1], sign=True)}",
            p_value(row["p_holm"]),
        ]
        for row in found
    ]
    header = ["", "student", "teacher", "difference", "95 % interval", "p (Holm)"]
    return Table(f"English queries: {metric} of the trained student and of its teacher", header, rows) if rows else None


def bias_tables(bias: Mapping[str, Mapping[str, Sequence[Mapping[str, Any]]]]) -> list[Table]:
    """Make tables of the pooled ranking's mean language bias, for each set with documents in several languages."""
    header = ["", "rank distance (lower is better)", "rank correlation", "worst query language"]
    tables = []
    for name, arms in bias.items():
        rows = []
        for arm, runs in arms.items():
            distance = _mean_of_known(run.get("rank_distance") for run in runs)
            correlation = _mean_of_known(run.get("mean_rank_correlation") for run in runs)
            worst = _mean_of_known(run.get("worst_score") for run in runs)
            rows.append([arm, "–" if distance is None else f"{distance:.1f}", number(correlation), number(worst)])
        tables.append(Table(f"{name}: language bias", header, rows))
    return tables


def mean_costs(found: Collected) -> dict[str, dict[str, float | None]]:
    """Compute the mean cost of a run of each arm over languages and seeds."""
    means: dict[str, dict[str, float | None]] = {}
    for arm, by_language in found.costs.items():
        runs = [run for of_language in by_language.values() for run in of_language]
        means[arm] = {name: _mean_of_known(run[name] for run in runs) for name in COSTS}
    return means


def _mean_of_known(values: Iterable[float | None]) -> float | None:
    """Return the mean of the known values, or None if there are none."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
