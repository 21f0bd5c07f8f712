"""Which share of the untrained student should the saved weights have? Means of start and end of runs, measured.

    python benchmarks/start_share.py outputs/mr --languages mr --bitext outputs/mr.jsonl --teacher TEACHER --eval SETS

Each run has a folder `untrained` and a folder `model`; where the model is a mean already (`--start_share` of its run),
the end of the training is found from both. The held-out pairs are those by which the run chose its step. nDCG@10; p by
paired randomisation, against the start (share 1) and against the end (share 0).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from hf_optical.data.retrieval import read_retrieval_set, retrieval_languages
from hf_optical.encoders.models import load_encoder
from hf_optical.evaluation.document_cache import DocumentCache
from hf_optical.evaluation.held_out import MEASURE, HeldOutRetrieval
from hf_optical.evaluation.paired_statistics import paired_tests
from hf_optical.results.files import versions, write_json
from hf_optical.runs.held_out import sets_of
from hf_optical.runs.options import TrainConfig
from hf_optical.runs.training_data import read_training_data
from hf_optical.training.weight_mean import weight_mean

SHARES = (1.0, 0.75, 0.5, 0.25, 0.0)
OF_THE_DATA = ("source_field", "translation_field", "on_bad_rows", "max_pairs", "held_out")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+", help="output folders of train")
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--bitext", nargs="+", required=True, help="that of each run")
    parser.add_argument("--languages", nargs="+", required=True, help="that of each run")
    parser.add_argument("--eval", nargs="+", default=[], help="folders of retrieval sets, read with their titles")
    parser.add_argument("--shares", type=float, nargs="+", default=list(SHARES), help="of the untrained student")
    parser.add_argument("--documents", help="folder in which vectors of documents are kept")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/start_share.json"))
    options = parser.parse_args()
    teacher = load_encoder(options.teacher)
    kept = json.loads(options.json.read_text(encoding="utf-8"))["runs"] if options.json.is_file() else {}
    for run, bitext, language in zip(options.runs, options.bitext, options.languages, strict=True):
        kept[run.name] = measure(run, teacher, bitext, language, options)
        write_json(options.json, {"runs": kept, "versions": versions()})
        print(f"\n{run.name}\n{table(kept[run.name])}", flush=True)


def measure(run: Path, teacher: Any, bitext: str, language: str, options: argparse.Namespace) -> dict[str, Any]:
    """Measure the means of one run: its language, kept step, and mean score and tests by set and share."""
    results = json.loads((run / "results.json").read_text(encoding="utf-8"))
    own = {name: results["config"][name] for name in OF_THE_DATA}
    config = TrainConfig(teacher=options.teacher, language=language, bitext=[bitext], seed=results["seed"], **own)
    data = read_training_data(config)
    code = data.languages[0]
    if {code: len(data.held_out[code])} != results["held_out"]["pairs"]:
        raise SystemExit(f"{run}: {bitext} is not its bitext, or it has several languages")
    sets = [*sets_of(data, config.seed), *(read(folder, code) for folder in options.eval if has(folder, code))]
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
