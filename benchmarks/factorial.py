"""Where transport earns its place: rows x objective x offset x reading, in one design with claims named beforehand.

    python benchmarks/factorial.py --teacher T --data FOLDER --cache SCRATCH --output FILE
    python benchmarks/factorial.py ... --languages so --cells transport/mse transport/ot_labels --seeds 0

A cell is ``rows/objective``: the student is grown from the teacher, its new rows are aligned in the training bitext
(``ibm1``: lexical models over bags of pieces; ``agreement``: posterior agreement with the positional prior of the
transport, and no transport; ``transport``), and it is trained with the objective (``none``: not at all). All cells of a
language and a seed see the same batches. Each student is read over the teacher's own vectors, on ntrex_passage and on
the questions of AfriQA and XorQA: ``dense``; ``offset``: dense, the students' mean vector of training pairs taken off
the queries; and the first hundred found are ordered anew by ``maxsim``, ``centred maxsim`` and ``soft`` transport.

A cell that was measured is in the cache and is not measured again; the tables and the claims are of *all* cells there
(under the same settings), a claim of the languages and seeds that both of its cells have. p: paired randomisation
over queries, seeds averaged first, languages together (a passage asked in several languages is one), Holm over the
claims of a kind. ``equivalent`` means that the 90 % interval lies within +-.01.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rows import ARMS  # beside this file, as the next three
from token_scoring import DEPTH, PerQuery, measure, read
from token_scoring_sets import Questions, evaluation_sets
from token_scoring_systems import System
from token_store import Encoded, encoded

from hf_optical import OTDistillationTrainer, OTDistillationTrainingArguments
from hf_optical.configuration.parsing import run
from hf_optical.encoders.models import load_encoder, save_whole, set_dropout
from hf_optical.evaluation.paired_statistics import clustered, holm, paired_tests
from hf_optical.evaluation.search import search_dense
from hf_optical.results.files import versions, write_json
from hf_optical.students import grow_student, initialise_from_bitext
from hf_optical.students.offset import offset_of, shifted

ROWS = {"ibm1": ARMS["bitext"], "agreement": ARMS["agreement"], "transport": ARMS["transport"]}
TRAINED = ("mse", "ot", "nce", "rank", "ot+rank")
CELLS = [f"{rows}/none" for rows in ROWS] + [f"transport/{objective}" for objective in TRAINED]
CELLS += [f"{rows}/{objective}" for rows in ("ibm1", "agreement") for objective in ("mse", "ot+rank")]
READINGS = ("dense", "offset", "maxsim", "centred maxsim", "soft")
EQUIVALENT = 0.01
_MEAN_ROWS, _EPSILON = 256, 0.1

Cell = tuple[str, str]  # "rows/objective", reading


def _each(one: str, other: str, *objectives: str) -> list[tuple[Cell, Cell]]:
    """The cells of a claim, written "rows/objective: reading", for each objective in place of {}."""

    def cell(text: str, objective: str) -> Cell:
        name, _, reading = text.format(objective).partition(": ")
        return name, reading or "dense"

    return [(cell(one, objective), cell(other, objective)) for objective in objectives or ("",)]


CLAIMS: dict[str, list[tuple[Cell, Cell]]] = {
    "rows: transport - ibm1, untrained": _each("transport/none", "ibm1/none"),
    "rows: transport - ibm1, trained": _each("transport/{}", "ibm1/{}", "mse", "ot+rank"),
    "rows: transport - agreement, untrained": _each("transport/none", "agreement/none"),
    "rows: transport - agreement, trained": _each("transport/{}", "agreement/{}", "mse", "ot+rank"),
    "loss: ot - mse": _each("transport/ot", "transport/mse"),
    "loss: ot - mse, read by soft": _each("transport/ot: soft", "transport/mse: soft"),
    "loss: ot+rank - rank": _each("transport/ot+rank", "transport/rank"),
    "loss: ot+rank - rank, read by soft": _each("transport/ot+rank: soft", "transport/rank: soft"),
    "loss: rank - mse": _each("transport/rank", "transport/mse"),
    "loss: rank - nce": _each("transport/rank", "transport/nce"),
    "offset: off - on, mse and ot": _each("transport/{}: offset", "transport/{}", "mse", "ot"),
    "offset: off - on, rank and ot+rank": _each("transport/{}: offset", "transport/{}", "rank", "ot+rank"),
    "loss with the offset off: rank - mse": _each("transport/rank: offset", "transport/mse: offset"),
    "reading: soft - maxsim, trained": _each("transport/{}: soft", "transport/{}: maxsim", *TRAINED),
    "reading: soft - centred maxsim, trained": _each("transport/{}: soft", "transport/{}: centred maxsim", *TRAINED),
    "labels: ot - greedy": _each("transport/ot_labels", "transport/greedy_labels"),
    "labels: ot - nearest": _each("transport/ot_labels", "transport/nearest_labels"),
    "labels: ot - uniform": _each("transport/ot_labels", "transport/uniform_labels"),
    "labels: ot - uniform, read by soft": _each("transport/ot_labels: soft", "transport/uniform_labels: soft"),
    "labels: ot_labels - mse, read by soft": _each("transport/ot_labels: soft", "transport/mse: soft"),
    "centred: centred_ot+mse - mse": _each("transport/centred_ot+mse", "transport/mse"),
    "centred: centred_ot+mse - mse, read by soft": _each("transport/centred_ot+mse: soft", "transport/mse: soft"),
}


@dataclass
class Factorial:
    """Options."""

    teacher: str = field(metadata={"help": "English teacher.", "path": True})
    data: str = field(metadata={"help": "Folder with bitext/ and eval/.", "path": True})
    cache: str = field(metadata={"help": "Scratch folder: students, vectors, measured cells.", "path": True})
    languages: list[str] = field(default_factory=lambda: ["so", "tl", "rw", "mr"])
    cells: list[str] = field(default_factory=lambda: list(CELLS), metadata={"help": "rows/objective."})
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2])
    steps: int = field(default=64)
    batch_size: int = field(default=32)
    learning_rate: float = field(default=3e-4)
    max_length: int = field(default=64, metadata={"help": "Tokens of a text in training."})
    documents: int = field(default=800, metadata={"help": "Documents of the questions' sets; 0 for all."})
    output: str | None = field(default=None, metadata={"help": "Write the figures into this JSON file.", "path": True})

    @property
    def place(self) -> Path:
        """Where the measured cells are kept."""
        settings = (f"{self.steps}x{self.batch_size}", self.learning_rate, self.max_length, self.documents)
        return Path(self.cache) / "cells" / " ".join(map(str, settings))


class Student(System):
    """One cell's student in one language; trained at the first reading, and kept no longer than this object."""

    def __init__(self, base: System, cell: str, language: str, seed: int, config: Factorial, scratch: Path) -> None:
        super().__init__("grown", base.model, base.data, base.cache, **base.half)
        self.rows, self.objective = cell.split("/")
        self.seed, self.config, self.scratch = seed, config, scratch
        self.student = self._trained(self._grown(language), language)

    def queries(self, item: Questions) -> Encoded:
        """As this student reads them."""
        return self._encoded(list(item.queries.values()), item.asked)

    def mean_texts(self, language: str) -> tuple[Encoded, Encoded]:
        """The translations as this student reads them, the English as the teacher does."""
        rows = self._bitext(language).shuffle(seed=0).select(range(_MEAN_ROWS))
        file = self.cache / self.name / f"means.{language}.documents.npz"
        english = encoded(lambda: load_encoder(self.model, device="cpu"), rows["source"], "document", file, **self.half)
        return self._encoded(rows["translation"], "means"), english

    def _encoded(self, texts: Sequence[str], name: str) -> Encoded:
        return encoded(lambda: self.student, list(texts), "query", self.scratch / f"{name}.npz", **self.half)

    def _grown(self, language: str) -> Any:
        folder = self.cache / "grown" / self.rows / language
        if not folder.is_dir():
            teacher, rows = load_encoder(self.model, device="cpu"), self._bitext(language)
            student: Any = grow_student(teacher, rows["translation"], vocab_size=40_000)
            initialise_from_bitext(student, teacher, rows["source"], rows["translation"], alignment=ROWS[self.rows])
            save_whole(student, folder)
        return load_encoder(str(folder), device="cpu")

    def _trained(self, student: Any, language: str) -> Any:
        if self.objective != "none":
            set_dropout(student, 0.0)
            args = OTDistillationTrainingArguments(
                str(self.scratch / "run"),
                max_steps=self.config.steps,
                per_device_train_batch_size=self.config.batch_size,
                learning_rate=self.config.learning_rate,
                objective=self.objective,
                max_length=self.config.max_length,
                bf16=True,
                seed=self.seed,
                report_to="none",
                save_strategy="no",
                use_cpu=True,
                disable_tqdm=True,
            )
            teacher, rows = load_encoder(self.model, device="cpu"), self._bitext(language)
            kept = self.cache / "teacher" / language  # read by every cell; float32, so that nothing is rounded
            OTDistillationTrainer(
                model=student,
                teacher=teacher,
                args=args,
                train_dataset=rows,
                teacher_cache=str(kept),
                teacher_cache_dtype="float32",
            ).train()
        return student.eval()


def main(config: Factorial) -> None:
    """Measure what is missing, test, print, write."""
    torch.set_num_threads(1)
    base = System("grown", config.teacher, Path(config.data), Path(config.cache), bfloat16=True)
    sets = list(evaluation_sets(base.data, config.languages, documents=config.documents))
    for seed in config.seeds:
        for language in config.languages:
            items = [item for item in sets if item.language == language and item.kind != "sentences"]
            for cell in config.cells:
                untrained = cell.endswith("/none")
                file = config.place / cell.replace("/", "--") / language / f"{0 if untrained else seed}.json"
                if not file.exists():
                    _write(file, _measured(base, cell, language, seed, config, items))
    found = _read(config.place)
    tables, claims = _tables(found), _claims(found)
    print(json.dumps(tables, indent=1))
    for claim in claims:
        print(claim)
    if config.output:
        named = ("steps", "batch_size", "learning_rate", "max_length", "documents")
        settings = {name: getattr(config, name) for name in named} | {
            "metric": "ndcg@10",
            "rerank": DEPTH,
            "epsilon": _EPSILON,
        }
        content = {"command": "benchmarks/factorial.py", "settings": settings, "versions": versions()}
        write_json(Path(config.output), {**content, "tables": tables, "claims": claims})


def _measured(
    base: System, cell: str, language: str, seed: int, config: Factorial, items: list[Questions]
) -> dict[str, dict[str, dict[str, float]]]:
    started = time.process_time()
    base.cache.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=base.cache))
    try:
        student = Student(base, cell, language, seed, config, scratch)
        trained = time.process_time()
        found = {item.kind: _readings(student, item) for item in items}
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    seconds = f"{trained - started:.0f} s of training, {time.process_time() - trained:.0f} s of reading"
    means = {kind: {name: _mean(values) for name, values in rows.items()} for kind, rows in found.items()}
    print(language, cell, seed, means, seconds, flush=True)
    return found


def _readings(student: Student, item: Questions) -> dict[str, dict[str, float]]:
    found = read(student, item, (_EPSILON,), READINGS)[0]
    ours, english = student.mean_texts(item.language)
    moved = shifted(student.queries(item).dense, offset_of("query", ours.dense, english.dense)).astype(np.float32)
    found["offset"] = measure(item, *search_dense(moved, student.documents(item).dense, DEPTH))
    return {name: {query: float(value) for query, value in found[name].items()} for name in READINGS}


def _write(file: Path, content: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, content)


Found = dict[str, dict[str, dict[int, dict[str, dict[str, PerQuery]]]]]  # cell, language, seed, kind, reading


def _read(place: Path) -> Found:
    found: Found = {}
    for file in sorted(place.glob("*/*/*.json")):
        cell, language, seed = file.parts[-3].replace("--", "/"), file.parts[-2], int(file.stem)
        found.setdefault(cell, {}).setdefault(language, {})[seed] = json.loads(file.read_text(encoding="utf-8"))
    return found


def _tables(found: Found) -> dict[str, Any]:
    """Means over seeds by kind, language, cell and reading, with the number of seeds."""
    tables: dict[str, Any] = {}
    for cell, languages in found.items():
        for language, seeds in languages.items():
            for kind, readings in next(iter(seeds.values())).items():
                scores = {
                    name: round(float(np.mean([_mean(seed[kind][name]) for seed in seeds.values()])), 4)
                    for name in readings
                }
                row = {"seeds": len(seeds), "n": len(readings["dense"]), **scores}
                tables.setdefault(kind, {}).setdefault(language, {})[cell] = row
    return tables


def _claims(found: Found) -> list[dict[str, Any]]:
    claims = []
    for kind in ("passages", "questions"):
        tested = [claim for name, pairs in CLAIMS.items() if (claim := _claim(name, pairs, found, kind))]
        for claim, p in zip(tested, holm([claim["p"] for claim in tested]), strict=True):
            claims.append({**claim, "p_holm": round(p, 4)})
    return claims


def _claim(name: str, pairs: list[tuple[Cell, Cell]], found: Found, kind: str) -> dict[str, Any] | None:
    by_language: dict[str, list[PerQuery]] = {}
    seeds: dict[str, set[int]] = {}
    ahead: dict[int, list[float]] = {}
    for (one, by), (other, with_) in pairs:
        for language in sorted(set(found.get(one, {})) & set(found.get(other, {}))):
            for seed in sorted(set(found[one][language]) & set(found[other][language])):
                ours, theirs = found[one][language][seed], found[other][language][seed]
                if kind in ours:
                    difference = {q: value - theirs[kind][with_][q] for q, value in ours[kind][by].items()}
                    by_language.setdefault(language, []).append(difference)
                    seeds.setdefault(language, set()).add(seed)
                    ahead.setdefault(seed, []).append(_mean(difference))
    if not by_language:
        return None
    averaged = {
        language: {query: np.mean([row[query] for row in rows]) for query in rows[0]}
        for language, rows in by_language.items()
    }
    values = clustered(list(averaged.values()))[1][:, None]
    tests, narrow = paired_tests(values), paired_tests(values, confidence=0.9)
    low, high = narrow.interval[0]
    return {
        "kind": kind,
        "claim": name,
        "difference": round(float(tests.difference[0]), 4),
        "interval": [round(float(end), 4) for end in tests.interval[0]],
        "p": round(float(tests.p[0]), 5),
        "equivalent": bool(low > -EQUIVALENT and high < EQUIVALENT),
        "seeds": {language: len(which) for language, which in seeds.items()},
        "seeds_ahead": sum(float(np.mean(row)) > 0 for row in ahead.values()),
        "by_language": {language: _mean(values) for language, values in averaged.items()},
        "queries": len(values),
    }


def _mean(values: PerQuery) -> float:
    return round(float(np.mean(list(values.values()))), 4)


if __name__ == "__main__":
    run(main, Factorial)
