"""Side panels of a report: what the students forget of English, and their bias between languages."""

from __future__ import annotations

from typing import Any

import numpy as np

from hf_optical.comparison.collect import Collected
from hf_optical.comparison.statistics import paired_tests
from hf_optical.comparison.tables import Table
from hf_optical.comparison.words import number, p_value
from hf_optical.evaluation.significance import holm
from hf_optical.evaluation.tasks import row_name


def english_rows(found: Collected) -> list[dict[str, Any]]:
    """What each trained student makes of the English queries, against the teacher's ceiling.

    Returns:
        For each set, language and arm: ``mean``, the teacher's ``ceiling``, ``difference`` with its ``interval``, and
        ``p_holm`` of the paired randomisation test, corrected over all of them.
    """
    rows = []
    for item in found.items:
        ceiling = item.systems.get("ceiling")
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


def english_table(found: Collected, metric: str) -> Table | None:
    """The same as a table; none where no run measured it."""
    rows = [
        [
            f"{row['arm']}, {row_name(row['language'])}, {row['set']}",
            number(row["mean"]),
            number(row["ceiling"]),
            number(row["difference"], sign=True),
            f"{number(row['interval'][0], sign=True)} to {number(row['interval'][1], sign=True)}",
            p_value(row["p_holm"]),
        ]
        for row in english_rows(found)
    ]
    header = ["", "student", "teacher", "difference", "95 % interval", "p (Holm)"]
    return Table(f"English queries: {metric} of the trained student and of its teacher", header, rows) if rows else None


def bias_table(found: Collected) -> list[Table]:
    """Language bias of the pooled ranking, for each set with documents in several languages: mean over runs."""
    tables = []
    for name, arms in found.bias.items():
        rows = []
        for arm, runs in arms.items():
            distance = [run["rank_distance"] for run in runs if run.get("rank_distance") is not None]
            correlation = [run["mean_rank_correlation"] for run in runs if run.get("mean_rank_correlation") is not None]
            worst = [run["worst_score"] for run in runs if run.get("worst_score") is not None]
            cells = (
                f"{np.mean(distance):.1f}" if distance else "–",
                number(float(np.mean(correlation)) if correlation else None),
                number(float(np.mean(worst)) if worst else None),
            )
            rows.append([arm, *cells])
        header = ["", "rank distance (lower is better)", "rank correlation", "worst query language"]
        tables.append(Table(f"{name}: language bias", header, rows))
    return tables
