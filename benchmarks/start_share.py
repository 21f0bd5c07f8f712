"""Which share of the untrained student should the saved weights have? Means of start and end of runs, measured.

    python benchmarks/start_share.py outputs/mr --languages mr --bitext outputs/mr.jsonl --teacher TEACHER --eval SETS

    python benchmarks/start_share.py outputs/part --languages mr --bitext part.jsonl --others all.jsonl --teacher T

Each run has a folder `untrained` and a folder `model`; where the model is a mean already (`--start_share` of its run),
the end of the training is found from both. The held-out pairs are those by which the run chose its step. nDCG@10; p by
paired randomisation, against the start (share 1) and against the end (share 0). With `--others` a run that was trained
on one kind of text (column `domain`) is measured on pairs of the other kinds: sentences and passages of each.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, concatenate_datasets
from torch import Tensor

from hf_optical.data.retrieval import RetrievalSet, read_retrieval_set, retrieval_languages
from hf_optical.encoders.models import load_encoder
from hf_optical.evaluation.document_cache import DocumentCache
from hf_optical.evaluation.held_out import MEASURE, HeldOutRetrieval, held_out_sets
from hf_optical.evaluation.paired_statistics import paired_tests
from hf_optical.results.files import versions, write_json
from hf_optical.runs.held_out import sets_of
from hf_optical.runs.options import TrainConfig
from hf_optical.runs.training_data import read_training_data
from hf_optical.training.weight_mean import weight_mean

SHARES = (1.0, 0.75, 0.5, 0.25, 0.0)
FEWEST, MOST, ENOUGH = 100, 400, 1_000  # rows of another domain: needed, searched for, and to fill its index
OF_THE_DATA = ("source_field", "translation_field", "on_bad_rows", "max_pairs", "held_out")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="output folders of train")
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--bitext", nargs="+", required=True, help="that of each run")
    parser.add_argument("--languages", nargs="+", required=True, help="that of each run")
    parser.add_argument("--eval", nargs="+", default=[], help="folders of retrieval sets, read with their titles")
    parser.add_argument("--others", nargs="+", help="that of each run, with rows of further domains (JSONL)")
    parser.add_argument("--shares", type=float, nargs="+", default=list(SHARES), help="of the untrained student")
    parser.add_argument("--documents", help="folder in which vectors of documents are kept")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/start_share.json"))
    options = parser.parse_args()
    teacher = load_encoder(options.teacher)
    kept = json.loads(options.json.read_text(encoding="utf-8"))["runs"] if options.json.is_file() else {}
    others = options.others or [None] * len(options.runs)
    for run, bitext, language, other in zip(options.runs, options.bitext, options.languages, others, strict=True):
        kept[run.name] = measure(run, teacher, bitext, language, other, options)
        write_json(options.json, {"runs": kept, "versions": versions()})
        print(f"\n{run.name}\n{table(kept[run.name])}", flush=True)


def measure(
    run: Path, teacher: Any, bitext: str, language: str, other: str | None, options: argparse.Namespace
) -> dict[str, Any]:
    """Measure the means of one run: its language, kept step, and mean score and tests by set and share."""
    results = json.loads((run / "results.json").read_text(encoding="utf-8"))
    own = {name: results["config"][name] for name in OF_THE_DATA}
    config = TrainConfig(teacher=options.teacher, language=language, bitext=[bitext], seed=results["seed"], **own)
    data = read_training_data(config)
    code = data.languages[0]
    if {code: len(data.held_out[code])} != results["held_out"]["pairs"]:
        raise SystemExit(f"{run}: {bitext} is not its bitext, or it has several languages")
    sets = [*sets_of(data, config.seed), *(read(folder, code) for folder in options.eval if has(folder, code))]
    if other is not None:
        sets += other_domains(Path(other), concatenate_datasets([data.bitext[code], data.held_out[code]]), code)
    index = HeldOutRetrieval(sets, teacher, documents=DocumentCache(options.documents))
    student: Any = load_encoder(str(run / "model"))
    start, end = load_encoder(str(run / "untrained")).state_dict(), trained_weights(run, results)
    found: dict[float, list[np.ndarray]] = {}
    for share in options.shares:
        means = {name: weight_mean(start[name], weight, share) for name, weight in end.items()}
        student.load_state_dict({**student.state_dict(), **means})
        found[share] = [
            np.array([values[MEASURE] for _, values in sorted(scores.per_query.items())])
            for scores in index.scores(student)
        ]
        print(run.name, share, [round(float(values.mean()), 4) for values in found[share]], flush=True)
    return {
        "language": language,
        "step": results["held_out"]["choice"]["best_step"],
        "sets": {
            item.name: entry([found[share][place] for share in found], list(found)) for place, item in enumerate(sets)
        },
    }


def other_domains(file: Path, own: Dataset, code: str) -> list[RetrievalSet]:
    """Make sets of the first rows of each domain, without any sentence of the run's own pairs."""
    known, by_domain = {*own["source"], *own["translation"]}, defaultdict(list)
    for line in file.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["en"] not in known and row["xx"] not in known:
            by_domain[row["domain"]].append({"source": row["en"], "translation": row["xx"]})
    found = []
    for domain, rows in sorted(by_domain.items()):
        if len(rows) >= FEWEST:
            rest = Dataset.from_list(rows[MOST:]) if len(rows) > MOST + ENOUGH else own
            for item in held_out_sets(Dataset.from_list(rows[:MOST]), rest, code):
                found.append(replace(item, name=item.name.replace("held-out", domain)))
    return found


def trained_weights(run: Path, results: dict[str, Any]) -> dict[str, Tensor]:
    """Return the weights at the kept step, also of a run that saved their mean with the untrained ones."""
    saved: Any = load_encoder(str(run / "model"))
    end = {name: weight for name, weight in saved.state_dict().items() if weight.is_floating_point()}
    mean = results["held_out"]["choice"].get("mean") or {}
    if not mean.get("taken"):
        return end
    start = load_encoder(str(run / "untrained")).state_dict()
    share = results["held_out"]["choice"]["start_share"]
    return {name: start[name] + (weight - start[name]) / (1 - share) for name, weight in end.items()}


def entry(values: list[np.ndarray], shares: list[float]) -> dict[str, Any]:
    """Summarise one set: queries, and by share the mean with the tests against the first and the last share."""
    cells: dict[str, Any] = {"n": len(values[0])}
    for share, own in zip(shares, values, strict=True):
        cells[str(share)] = {"mean": float(own.mean())}
        for name, other in (("start", values[0]), ("end", values[-1])):
            if own is not other:
                tests = paired_tests((own - other)[:, None])
                cells[str(share)][name] = {
                    "difference": float(tests.difference[0]),
                    "interval": tests.interval[0].tolist(),
                    "p": float(tests.p[0]),
                }
    return cells


def table(run: dict[str, Any]) -> str:
    """Every set by share, with the difference from start and end where it is beyond chance."""
    lines = []
    for name, cells in run["sets"].items():
        parts = []
        for share, cell in cells.items():
            if share != "n":
                said = [
                    f"{other} {cell[other]['difference']:+.3f} p {cell[other]['p']:.2g}"
                    for other in ("start", "end")
                    if other in cell
                ]
                parts.append(f"{share}: {cell['mean']:.3f} ({', '.join(said)})")
        lines.append(f"{name} ({cells['n']}): " + "; ".join(parts))
    return "\n".join(lines)


def read(folder: str, code: str) -> Any:
    return read_retrieval_set(folder, code, name=Path(folder).name, use_titles=True)


def has(folder: str, code: str) -> bool:
    return code in retrieval_languages(folder)["queries"]


if __name__ == "__main__":
    main()
