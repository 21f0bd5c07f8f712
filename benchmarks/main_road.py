"""Figures of finished training runs in one file, and as a table: what stands under "With a real multilingual encoder".

    python benchmarks/main_road.py outputs/rw-e5 outputs/so-e5 --json benchmarks/results/main_road.json

    python benchmarks/main_road.py outputs/so-e5 outputs/sw-e5 --against outputs/so-anchor-0 outputs/sw-anchor-0

The second form tests the trained students of the first runs against those of the others, set by set and over all
languages: paired by query, a query that is asked in several languages as one.

Each run keeps its command, data, versions, costs, the held-out curve and the step that was kept, the map's choice if
there was one, and of each evaluation set the scores of every row with the paired tests. Single queries, the
configuration and the machine's paths stay in the run's own `results.json`. The column p is Holm over the tests of
the run.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hf_optical.evaluation.paired_statistics import paired_tests
from hf_optical.results.files import PER_QUERY_FILE, write_json

ROWS = ("raw", "bm25", "off_the_shelf", "before", "initialized", "after", "fused", "ceiling")
_KEPT = ("command", "seed", "versions", "data", "pairs", "processes", "precision", "seconds", "peak_memory_mb")
_TESTED = ("difference", "interval", "p", "p_holm", "outcome")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="output folders of train")
    parser.add_argument("--against", type=Path, nargs="+", default=[], help="as many others, in the same order")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/main_road.json"))
    options = parser.parse_args()
    if options.against:
        print(*pooled(options.runs, options.against), sep="\n")
        return
    found = {run.name: extract(json.loads((run / "results.json").read_text(encoding="utf-8"))) for run in options.runs}
    write_json(options.json, {"runs": found})
    print("| run | pairs | step kept | set (queries) | untrained | trained | p | English query |")
    print("| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: |")
    for name, run in found.items():
        for line in lines(name, run):
            print(line)


def pooled(runs: Sequence[Path], others: Sequence[Path]) -> list[str]:
    """A line per set: mean difference of the trained students over queries, interval and p."""
    found: dict[str, dict[str, list[float]]] = {}
    for run, other in zip(runs, others, strict=True):
        mine, theirs = (json.loads((folder / PER_QUERY_FILE).read_text("utf-8")) for folder in (run, other))
        for name in mine.keys() & theirs.keys():
            after, before = mine[name]["after"], theirs[name]["after"]
            queries = found.setdefault(name.split("/")[0], {})
            for query in after.keys() & before.keys():
                queries.setdefault(query, []).append(after[query]["ndcg@10"] - before[query]["ndcg@10"])
    lines = []
    for name, queries in sorted(found.items()):
        tests = paired_tests(np.array([[np.mean(queries[query])] for query in sorted(queries)]))
        (low, high), mean = tests.interval[0], tests.difference[0]
        lines.append(f"{name}: {mean:+.4f} [{low:+.4f}, {high:+.4f}], p = {tests.p[0]:.4f}, {len(queries)} queries")
    return lines


def extract(results: dict[str, Any]) -> dict[str, Any]:
    """The part of a run's results that is kept."""
    held = results.get("held_out") or {}
    return {name: results.get(name) for name in _KEPT} | {
        "temperature": results.get("temperature"),
        "anchor": results.get("anchor"),
        "map": {
            key: value for key, value in ((results.get("start") or {}).get("map") or {}).items() if key != "scores"
        },
        "choice": held.get("choice"),
        "held_out": [_scores(entry) for entry in held.get("evaluations", [])],
        "evaluations": [_scores(entry) for entry in results["evaluations"]],
    }


def lines(name: str, run: dict[str, Any]) -> list[str]:
    """The run's rows of the table."""
    choice = run["choice"] or {}
    curve = choice.get("curve") or [{}]
    found = []
    for entry in run["evaluations"]:
        scores, test = entry["scores"], entry["tests"].get("after against before")
        p = "" if test is None else f"{test['p_holm']:.3g}"
        cells = [_number(scores.get(row, {}).get("ndcg@10")) for row in ("before", "after", "ceiling")]
        head = (name, f"{run['pairs']:,}", f"{choice.get('best_step', '')} of {curve[-1].get('step', '')}")
        asked = f"{entry['set']} ({entry['n']:,})"
        found.append("| " + " | ".join((*(head if not found else ("", "", "")), asked, *cells[:2], p, cells[2])) + " |")
    return found


def _scores(entry: dict[str, Any]) -> dict[str, Any]:
    tests = {name: {key: test[key] for key in _TESTED} for name, test in (entry.get("tests") or {}).items()}
    scores = {row: entry[row] for row in ROWS if entry.get(row)}
    return {"set": entry["set"], "language": entry["language"], "n": entry["n"], "scores": scores, "tests": tests}


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}".lstrip("0")


if __name__ == "__main__":
    main()
