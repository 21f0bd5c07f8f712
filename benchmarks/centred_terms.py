"""Does an alignment earn its place in the loss once it is centred, or its plan used as labels?

    python benchmarks/centred_terms.py --teacher T --data FOLDER --cache SCRATCH --languages so --output FILE

Every arm starts from the same untrained student (grown from the teacher, its rows aligned in the training bitext) and
sees the same batches. Read on ntrex_passage over the teacher's own vectors: dense, and the first hundred found anew by
MaxSim and by soft transport on centred tokens. Claims, named here: ``ot_labels`` against ``greedy_labels``,
``nearest_labels`` and ``uniform_labels`` (is it the plan?) and against ``mse``; ``centred_ot+mse`` against ``ot+mse``
and ``mse``. Paired randomisation over queries, seeds averaged first, languages together, Holm over the claims of a
reading.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from token_scoring import PerQuery, read  # beside this file, as the next two
from token_scoring_sets import Questions, evaluation_sets
from token_scoring_systems import System
from token_store import Encoded, encoded

from hf_optical import OTDistillationTrainer, OTDistillationTrainingArguments
from hf_optical.configuration.parsing import run
from hf_optical.encoders.models import load_encoder, save_whole, set_dropout
from hf_optical.evaluation.paired_statistics import clustered, holm, paired_tests
from hf_optical.results.files import versions, write_json

ARMS = ["mse", "ot+mse", "centred_ot+mse", "ot_labels", "greedy_labels", "nearest_labels", "uniform_labels"]
CLAIMS = [
    ("ot_labels", "greedy_labels"),
    ("ot_labels", "nearest_labels"),
    ("ot_labels", "uniform_labels"),
    ("ot_labels", "mse"),
    ("centred_ot+mse", "ot+mse"),
    ("centred_ot+mse", "mse"),
]
READINGS = ("dense", "maxsim", "soft")


@dataclass
class CentredTerms:
    """Options."""

    teacher: str = field(metadata={"help": "English teacher.", "path": True})
    data: str = field(metadata={"help": "Folder with bitext/ and eval/.", "path": True})
    cache: str = field(metadata={"help": "Scratch folder: students, vectors.", "path": True})
    languages: list[str] = field(default_factory=lambda: ["so", "tl"])
    arms: list[str] = field(default_factory=lambda: list(ARMS))
    seeds: list[int] = field(default_factory=lambda: [0])
    steps: int = field(default=64)
    batch_size: int = field(default=32)
    learning_rate: float = field(default=1e-4)
    output: str | None = field(default=None, metadata={"help": "Write the figures into this JSON file.", "path": True})


class Trained(System):
    """A trained student over the teacher's index; its readings and the students' vectors are kept apart by name."""

    def __init__(self, base: System, arm: str, seed: int, config: CentredTerms) -> None:
        super().__init__("grown", base.model, base.data, base.cache, **base.half)
        self.arm, self.seed, self.config = arm, seed, config
        self.place = base.cache / "trained" / f"{config.steps}x{config.batch_size}" / arm / str(seed)

    def queries(self, item: Questions) -> Encoded:
        """As the trained student reads them."""
        file = self.place / f"{item.asked}.queries.npz"
        return encoded(lambda: self.reader(item.language), list(item.queries.values()), "query", file, **self.half)

    def mean_texts(self, language: str) -> tuple[Encoded, Encoded]:
        """The translations as the trained student reads them, the English as ever."""
        rows = self._bitext(language).shuffle(seed=0).select(range(128))
        file = self.place / f"means.{language}.queries.npz"
        ours = encoded(lambda: self.reader(language), rows["translation"], "query", file, **self.half)
        return ours, super().mean_texts(language)[1]

    def reader(self, language: str) -> Any:
        """The student, trained at the first time."""
        folder = self.place / language
        if not folder.is_dir():
            student = super().reader(language)
            if self.arm != "untrained":
                self._train(student, language)
            save_whole(student, folder)
        return load_encoder(str(folder), device="cpu").eval()

    def _train(self, student: Any, language: str) -> None:
        started, config = time.process_time(), self.config
        set_dropout(student, 0.0)
        runs = self.place / f"{language}.run"
        args = OTDistillationTrainingArguments(
            str(runs),
            max_steps=config.steps,
            per_device_train_batch_size=config.batch_size,
            learning_rate=config.learning_rate,
            objective=self.arm,
            seed=self.seed,
            report_to="none",
            save_strategy="no",
            use_cpu=True,
            disable_tqdm=True,
        )
        teacher = load_encoder(self.model, device="cpu")
        OTDistillationTrainer(model=student, teacher=teacher, args=args, train_dataset=self._bitext(language)).train()
        shutil.rmtree(runs, ignore_errors=True)
        print(f"{self.arm} {language} {self.seed}: {time.process_time() - started:.0f} processor seconds", flush=True)


def main(config: CentredTerms) -> None:
    """Train, read, test, print, write."""
    torch.set_num_threads(1)
    base = System("grown", config.teacher, Path(config.data), Path(config.cache), bfloat16=True)
    items = [item for item in evaluation_sets(base.data, config.languages) if item.kind == "passages"]
    found: dict[str, dict[str, dict[str, PerQuery]]] = {}
    for item in items:
        for arm in ["untrained", *config.arms]:
            seeds = [0] if arm == "untrained" else config.seeds
            read_by = [read(Trained(base, arm, seed, config), item, only=READINGS)[0] for seed in seeds]
            for name in READINGS:
                values = {query: np.mean([one[name][query] for one in read_by]) for query in read_by[0][name]}
                found.setdefault(name, {}).setdefault(arm, {})[item.language] = values
            print(item.language, arm, {name: _mean(found[name][arm][item.language]) for name in READINGS}, flush=True)
    tables = {
        name: {arm: {code: _mean(v) for code, v in by_code.items()} for arm, by_code in arms.items()}
        for name, arms in found.items()
    }
    claims = [claim for name in READINGS for claim in _claims(name, found[name])]
    for claim in claims:
        print(claim)
    if config.output:
        named = ("languages", "arms", "seeds", "steps", "batch_size", "learning_rate")
        settings = {name: getattr(config, name) for name in named} | {"set": "ntrex_passage", "metric": "ndcg@10"}
        content = {"command": "benchmarks/centred_terms.py", "settings": settings, "versions": versions()}
        write_json(Path(config.output), {**content, "tables": tables, "claims": claims})


def _claims(reading: str, arms: dict[str, dict[str, PerQuery]]) -> list[dict[str, Any]]:
    pairs = [pair for pair in CLAIMS if set(pair) <= set(arms)]
    rows = [
        clustered([{q: v - arms[other][code][q] for q, v in values.items()} for code, values in arms[one].items()])[1]
        for one, other in pairs
    ]
    if not rows:
        return []
    tests = paired_tests(np.stack(rows, axis=1))
    return [
        {
            "reading": reading,
            "claim": f"{one} - {other}",
            "difference": round(float(tests.difference[place]), 4),
            "interval": [round(float(end), 4) for end in tests.interval[place]],
            "p_holm": round(p, 4),
        }
        for place, ((one, other), p) in enumerate(zip(pairs, holm(tests.p.tolist()), strict=True))
    ]


def _mean(values: PerQuery) -> float:
    return round(float(np.mean(list(values.values()))), 4)


if __name__ == "__main__":
    run(main, CentredTerms)
