"""Does lexical injection teach words that it was not trained on, does it reach the output, and what of retrieval?

``python benchmarks/lexical_injection.py --teacher TEACHER --data ../shared/data``. On students grown from the teacher
(rows aligned in the bitext, and the weak start from surface forms): lexical injection on the train words, and beside
it the same with shuffled translations. Measured on the control words, none of whose translations is a train word: the
cosine that the paper reports, true minus shuffled cosine, and P@1, at the trained layer and at the output; and nDCG@10
on NTREX against the teacher's own documents. Finished runs are kept in the JSON file and not repeated.

Lexicon rows of the kinds ``word_auto`` and ``wordnet_auto`` are left out: they were made by programs, and a wrong
translation among the control words would be counted against the student. What is left was written by people.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import time
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset

from hf_optical.data.bitext import read_bitext
from hf_optical.data.languages import normalize
from hf_optical.data.retrieval import read_retrieval_set
from hf_optical.encoders.models import load_encoder
from hf_optical.evaluation.document_cache import DocumentCache
from hf_optical.evaluation.layer_probe import LayerProbe, probe_layers, without_copies
from hf_optical.evaluation.retrieval import RetrievalScores, evaluate_retrieval
from hf_optical.evaluation.significance import compare
from hf_optical.figures.layer_probe import draw_layer_probe
from hf_optical.results.files import versions, write_json
from hf_optical.students import starting_student
from hf_optical.training.lexical_stage import LexicalStage, inject_lexicon

# As in the paper: the student reads both sides, layer 2, nothing at the output, LoRA on query and value. Ours: the
# teacher reads the English, the probed layer, an output term; by LoRA, or on the lower layers' own weights.
ARMS: dict[str, dict[str, Any]] = {
    "paper": {"english": "student", "layer": 2, "output_weight": 0.0, "learning_rate": 2e-4},
    "lora": {"english": "teacher", "output_weight": 1.0, "learning_rate": 1e-3},
    "full": {"english": "teacher", "output_weight": 1.0, "learning_rate": 1e-4, "method": "full"},
}
KINDS = ("word", "term", "emoji_name", "territory", "language")
SETS = ("ntrex_bitext", "ntrex_passage")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--languages", nargs="+", default=["sw"], help="as the files are named (default: %(default)s)")
    parser.add_argument("--starts", nargs="+", default=["bitext", "surface"], help="default: %(default)s")
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=list(ARMS), help="default: all")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="default: %(default)s")
    parser.add_argument("--steps", type=int, default=200, help="optimizer steps (default: %(default)s)")
    parser.add_argument("--batch_size", type=int, default=32, help="default: %(default)s")
    parser.add_argument("--max_pairs", type=int, default=10_000, help="bitext that students grow from")
    parser.add_argument("--sets", nargs="*", default=list(SETS), help="default: %(default)s")
    parser.add_argument(
        "--queries", type=int, default=400, help="judged queries of each set; 0: all (default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/lexical_injection.json"))
    parser.add_argument("--figure", type=Path, default=Path("benchmarks/results/lexical_injection.png"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    report = Report(options)
    teacher: Any = load_encoder(options.teacher)
    for language in options.languages:
        for start in options.starts:
            measure(report, teacher, language, start)
    print(report.table())


class Report:
    """The JSON file: read where it is from the same options, written after every run."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        settings = {"steps": options.steps, "batch_size": options.batch_size, "max_pairs": options.max_pairs}
        settings |= {"kinds": list(KINDS), "arms": ARMS, "queries": options.queries}
        self.content: dict[str, Any] = {"settings": settings, "versions": versions(), "starts": [], "runs": []}
        if options.json.exists():
            found = json.loads(options.json.read_text(encoding="utf-8"))
            if found["settings"] == json.loads(json.dumps(settings)):
                self.content = found

    def add(self, kind: str, row: dict[str, Any]) -> None:
        """Keep a row, on disk too."""
        self.content[kind].append(row)
        self.options.json.parent.mkdir(parents=True, exist_ok=True)
        write_json(self.options.json, self.content)

    def find(self, kind: str, **wanted: Any) -> list[dict[str, Any]]:
        """Rows that have these values."""
        return [row for row in self.content[kind] if all(row[name] == value for name, value in wanted.items())]

    def table(self) -> str:
        """Means over the seeds, one line per start and arm, and what the control leaves of the gain."""
        names = ["cos@layer", "cos@out", "true-shuf@layer", "true-shuf@out", "P@1@layer", "P@1@out"]
        sets = list(self.content["starts"][0]["ndcg@10"]) if self.content["starts"] else []
        titles = ["language", "start", "arm", "pairs", "seeds", *names, *(f"nDCG@10 {name}" for name in sets)]
        lines = ["| " + " | ".join(titles) + " |", "|" + " --- |" * 5 + " ---: |" * (len(names) + len(sets))]
        for start in self.content["starts"]:
            place = {"language": start["language"], "start": start["start"]}
            for arm in dict.fromkeys(row["arm"] for row in self.find("runs", **place)):
                before = numbers(start["probes"][ARMS[arm]["english"]], layer_of(arm, start), start["ndcg@10"])
                lines.append(line([*place.values(), arm, "before", ""], before))
                for pairs in ("true", "shuffled"):
                    rows = self.find("runs", **place, arm=arm, pairs=pairs)
                    found = [numbers(row["probe"], row["layer"], row["ndcg@10"]) for row in rows]
                    if found:
                        lines.append(line([*place.values(), arm, pairs, str(len(found))], mean(found)))
        return "\n".join(lines)


def measure(report: Report, teacher: Any, language: str, start: str) -> None:
    """One student and all its arms; nothing is done twice."""
    options, code = report.options, normalize(language)
    wanted = [
        (arm, pairs, seed)
        for seed in options.seeds
        for arm in options.arms
        for pairs in ("true", "shuffled")
        if not report.find("runs", language=code, start=start, arm=arm, pairs=pairs, seed=seed)
    ]
    if not wanted:
        return
    train, control = (lexicon(options.data, language, part) for part in ("train", "control"))
    rows = read_bitext(options.data / "bitext" / f"{language}.train.jsonl.gz", language=code)
    rows = rows.shuffle(seed=0).select(range(min(options.max_pairs, len(rows))))
    student: Any = starting_student("extend", teacher, rows, row_init=start, seed=0)
    retrieval = Retrieval(options, teacher, code)
    before = retrieval.scores(student)
    probes = {
        "student": probe_layers(student, control),
        "teacher": probe_layers(student, control, teacher=teacher),
    }
    if not report.find("starts", language=code, start=start):
        chosen = probe_layers(student, train, teacher=teacher)  # on the train words, not on those it is judged by
        row = {"language": code, "start": start, "train_pairs": len(train), "control_pairs": len(control)}
        row |= {"layer": chosen.recommended_layer, "probes": {name: one.to_dict() for name, one in probes.items()}}
        report.add("starts", {**row, "ndcg@10": ndcg(before)})
    first = report.find("starts", language=code, start=start)[0]
    drawn: dict[str, LayerProbe] = {"before": probes["teacher"]}
    for arm, pairs, seed in wanted:
        clock, layer = time.process_time(), layer_of(arm, first)
        trained = deepcopy(student)
        english = teacher if ARMS[arm]["english"] == "teacher" else None
        done = inject(
            trained, train, options, arm=arm, teacher=english, layer=layer, shuffled=pairs != "true", seed=seed
        )
        probe, after = probe_layers(trained, control, teacher=english), retrieval.scores(trained)
        row = {"language": code, "start": start, "arm": arm, "pairs": pairs, "seed": seed, "layer": layer}
        row |= {"trainable": done.trainable, "losses": [done.history[0]["loss"], done.history[-1]["loss"]]}
        row |= {"probe": probe.to_dict(), "ndcg@10": ndcg(after)}
        row["against_before"] = {name: compare(after[name], before[name]).verdict for name in after}
        row["cpu_seconds"] = round(time.process_time() - clock, 1)
        report.add("runs", row)
        shown = ", ".join(f"{name} {value:.3f}" for name, value in row["ndcg@10"].items())
        print(f"{code} {start} {arm} {pairs} {seed}: P@1 at the output {probe.output.p1:.3f}, {shown}", flush=True)
        if english is not None and seed == options.seeds[0]:
            drawn[f"{arm}, {'true pairs' if pairs == 'true' else 'shuffled pairs'}"] = probe
    if options.figure and len(drawn) > 1:
        file = options.figure.with_name(f"{options.figure.stem}_{code}_{start}.png")
        draw_layer_probe(drawn, file, title=f"Control words, {code}, {start} start", mark=first["layer"])


def inject(
    student: Any, train: list[tuple[str, str]], options: argparse.Namespace, *, arm: str, **settings: Any
) -> LexicalStage:
    """One arm, on the student given."""
    settings |= {name: value for name, value in ARMS[arm].items() if name not in ("english", "layer")}
    settings |= {"steps": options.steps, "batch_size": options.batch_size, "show_progress": False, "use_cpu": True}
    return inject_lexicon(student, as_rows(train), **settings)


class Retrieval:
    """NTREX, against the teacher's documents, which are encoded once."""

    def __init__(self, options: argparse.Namespace, teacher: Any, language: str) -> None:
        self.teacher, self.cache = teacher, DocumentCache()
        self.sets = {name: read_retrieval_set(options.data / "eval" / name, language) for name in options.sets}
        if options.queries:
            for name, item in self.sets.items():
                self.sets[name] = replace(item, qrels=dict(list(item.qrels.items())[: options.queries]))

    def scores(self, student: Any) -> dict[str, RetrievalScores]:
        """By name of the set."""
        return {
            name: evaluate_retrieval(student, item, self.teacher, top_k=100, document_cache=self.cache)
            for name, item in self.sets.items()
        }


def lexicon(data: Path, language: str, part: str) -> list[tuple[str, str]]:
    """Pairs that people wrote, without those that are the same in both languages."""
    with gzip.open(data / "lexicon" / f"{language}.{part}.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(text) for text in file]
    pairs = [(row["en"], row["xx"]) for row in rows if row["kind"] in KINDS]
    return without_copies(list(dict.fromkeys(pairs)))


def as_rows(pairs: list[tuple[str, str]]) -> Dataset:
    return Dataset.from_dict({"source": [pair[0] for pair in pairs], "translation": [pair[1] for pair in pairs]})


def layer_of(arm: str, start: dict[str, Any]) -> int:
    return int(ARMS[arm].get("layer", start["layer"]))


def ndcg(scores: dict[str, RetrievalScores]) -> dict[str, float]:
    return {name: found.metrics["ndcg@10"] for name, found in scores.items()}


def numbers(probe: dict[str, Any], layer: int, retrieval: dict[str, float]) -> list[float]:
    places = (probe["layers"][layer], probe["output"])
    return [place[name] for name in ("true", "difference", "p1") for place in places] + list(retrieval.values())


def mean(rows: list[list[float]]) -> list[str]:
    spread = [f" ± {statistics.stdev(one):.3f}" if len(rows) > 1 else "" for one in zip(*rows, strict=True)]
    return [f"{statistics.fmean(one):.3f}{sd}" for one, sd in zip(zip(*rows, strict=True), spread, strict=True)]


def line(names: list[str], values: list[Any]) -> str:
    cells = [value if isinstance(value, str) else f"{value:.3f}" for value in values]
    return "| " + " | ".join([*names, *cells]) + " |"


if __name__ == "__main__":
    main()
