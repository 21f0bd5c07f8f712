"""What a comparison's results say: means and spread over seeds, and paired tests between arms."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from hf_optical.comparison.matrix import Cell
from hf_optical.evaluation.retrieval import RetrievalScores
from hf_optical.evaluation.scoring import mean_scores
from hf_optical.evaluation.significance import compare_all

PerQuery = dict[str, dict[str, float]]
_REFERENCES = ("raw", "before", "aligned", "ceiling")


def summarise(cells: Sequence[Cell], metric: str = "ndcg@10", baseline: str | None = None) -> list[dict[str, Any]]:
    """One entry per retrieval set and language, from the finished runs.

    Args:
        cells: The runs; those that are not done are left out and counted.
        metric: The measure.
        baseline: Arm that the others are tested against, besides ``raw``; the first arm if not given.

    Returns:
        Entries with ``set``, ``language``, ``n``, the references ``raw``, ``before``, ``ceiling``, and ``arms``: for
        each the mean over seeds, the standard deviation over seeds, the values, and paired tests (randomisation over
        queries of the scores averaged over seeds, Holm-corrected within the entry) against raw, the aligned start and
        the baseline.
    """
    done = [cell for cell in cells if cell.is_done()]
    arms = list(dict.fromkeys(cell.arm for cell in cells))
    baseline = baseline or arms[0]
    collected: dict[str, dict[str, list[PerQuery]]] = defaultdict(lambda: defaultdict(list))
    for cell in done:
        per_query = json.loads((cell.folder / "per_query.json").read_text(encoding="utf-8"))
        for name, rows in per_query.items():
            collected[name][cell.arm].append(rows["after"])
            for reference in _REFERENCES:
                if reference in rows:
                    collected[name].setdefault(_reference_name(reference, cell), [rows[reference]])
    starts = {cell.arm: _reference_name("aligned", cell) for cell in cells}  # each arm against its own student
    return [_entry(name, scores, starts, metric, baseline) for name, scores in collected.items()]


def _reference_name(reference: str, cell: Cell) -> str:
    """Raw and ceiling are the teacher's own; where a run starts from depends on its student."""
    student = cell.options.get("student")
    return f"{reference} {student}" if reference in ("before", "aligned") and student else reference


def _entry(
    name: str, scores: Mapping[str, list[PerQuery]], arms: Mapping[str, str], metric: str, baseline: str
) -> dict[str, Any]:
    set_name, _, language = name.rpartition("/")
    averaged = {arm: _averaged(set_name, language, runs) for arm, runs in scores.items()}
    present = [arm for arm in arms if arm in averaged]
    pairs = [
        (arm, other)
        for arm in present
        for other in dict.fromkeys(("raw", arms[arm], baseline))
        if other in averaged and other != arm
    ]
    tests = compare_all([(averaged[arm], averaged[other]) for arm, other in pairs], metric) if pairs else []
    entry: dict[str, Any] = {"set": set_name, "language": language, "metric": metric, "arms": {}, "references": {}}
    entry["n"] = next(iter(averaged.values())).n
    for reference in scores:
        if reference not in arms:
            entry["references"][reference] = averaged[reference].metrics[metric]
    for arm in present:
        values = [mean_scores(run)[metric] for run in scores[arm]]
        entry["arms"][arm] = {
            "mean": float(np.mean(values)),
            "sd": float(np.std(values, ddof=1)) if len(values) > 1 else None,
            "values": values,
            "seeds": len(values),
            "tests": {other: asdict(test) for (tested, other), test in zip(pairs, tests, strict=True) if tested == arm},
        }
    return entry


def _averaged(set_name: str, language: str, runs: Sequence[PerQuery]) -> RetrievalScores:
    """Every query's scores, averaged over the seeds: the paired tests then speak of queries, not of luck in seeds."""
    per_query = {
        query: {name: float(np.mean([run[query][name] for run in runs])) for name in first}
        for query, first in runs[0].items()
    }
    return RetrievalScores(set_name, language, len(per_query), mean_scores(per_query), per_query)


def markdown_table(summary: Sequence[Mapping[str, Any]], baseline: str) -> str:
    """The summary as a Markdown table: mean ± spread.

    ``*`` beats raw, ``°`` beats the aligned start, ``†`` beats the baseline (paired, Holm, p < .05).
    """
    arms = list(dict.fromkeys(arm for entry in summary for arm in entry["arms"]))
    references = list(dict.fromkeys(name for entry in summary for name in entry["references"]))
    lines = [
        "| " + " | ".join(["set", "language", "n", *references, *arms]) + " |",
        "| --- | --- | ---: |" + " ---: |" * (len(references) + len(arms)),
    ]
    for entry in summary:
        cells = [entry["set"], entry["language"], str(entry["n"])]
        cells += [_number(entry["references"].get(name)) for name in references]
        cells += [_arm(entry["arms"].get(arm), baseline) for arm in arms]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}".lstrip("0")


def _arm(arm: Mapping[str, Any] | None, baseline: str) -> str:
    if arm is None:
        return "–"
    spread = f" ± {_number(arm['sd'])}" if arm["sd"] is not None else ""
    beaten = {name for name, test in arm["tests"].items() if test["p_holm"] < 0.05 and test["difference"] > 0}
    aligned = {name for name in arm["tests"] if name.startswith("aligned")}
    marks = "*" * ("raw" in beaten) + "°" * bool(aligned and aligned <= beaten) + "†" * (baseline in beaten)
    return f"{_number(arm['mean'])}{spread}{marks}"
