"""What cheaper ways to train a copy of a multilingual encoder cost in quality, memory and time.

    python benchmarks/costs.py --teacher ../models/e5 --bitext ../shared/data/bitext/so.train.jsonl.gz \
        --language som_Latn --eval ../shared/data/eval/ntrex_passage --shared SCRATCH

Each way is a run of `hf-optical train` in a process of its own, the same steps on the same pairs: all weights; only the
embedding rows that the pairs use; no embeddings; the lower half of the layers frozen too; a LoRA adapter; and a copy
whose vocabulary was trimmed to English and the language first, with all of its weights. Printed: processor seconds of
the whole command, reading and measuring included; seconds a step by the clock, of a machine that may be busy; peak
memory of the process in GB; what is published, in MB; nDCG@10 of passages. A way that is in the JSON file is not run
again.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

from hf_optical.data.bitext import read_bitext
from hf_optical.encoders.models import load_encoder
from hf_optical.publishing.trim import trim
from hf_optical.results.files import write_json

WAYS = {
    "all weights": [],
    "rows used": ["--train_embeddings", "used"],
    "no embeddings": ["--train_embeddings", "none"],
    "lower half frozen": ["--freeze_layers", "6"],
    "LoRA": ["--adapter", "lora"],
    "trimmed": [],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--bitext", required=True)
    parser.add_argument("--language", required=True)
    parser.add_argument("--eval", required=True)
    parser.add_argument("--shared", type=Path, required=True, help="scratch folder: runs and vectors of documents")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/costs.json"))
    options = parser.parse_args()
    report: dict[str, Any] = json.loads(options.json.read_text("utf-8")) if options.json.exists() else {}
    for way in options.ways:
        if way not in report:
            report[way] = measured(way, options)
            write_json(options.json, report)
        print(row(way, report[way]), flush=True)


def measured(way: str, options: argparse.Namespace) -> dict[str, Any]:
    """Run one way and read what it cost."""
    output = options.shared / "costs" / way.replace(" ", "_")
    student = trimmed(options) if way == "trimmed" else "copy"
    command = [sys.executable, "-m", "hf_optical.commands.main", "train", "--teacher", options.teacher]
    command += ["--student", str(student), "--language", options.language, "--bitext", options.bitext]
    command += ["--eval", options.eval, "--shared", str(options.shared), "--max_steps", str(options.steps)]
    command += [
        "--max_length",
        "64",
        "--held_out",
        "0",
        "--anchor",
        "0",  # the figures were made without one
        "--monitor",
        "off",
        "--teacher_cache",
        "none",
        "--bf16",
        "true",
    ]
    command += ["--check_data", "false", "--output_dir", str(output), "--overwrite", "true", *WAYS[way]]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = json.loads((output / "results.json").read_text(encoding="utf-8"))
    entry = found["evaluations"][0]
    own = output / "model"
    own = own / "adapters" if (own / "adapters").is_dir() else own
    return {
        "cpu_seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
        "seconds_per_step": found["seconds_per_step"],
        "peak_memory_mb": found["peak_memory_mb"],
        "published_mb": round(sum(file.stat().st_size for file in own.rglob("*") if file.is_file()) / 1e6, 1),
        "before": entry["before"]["ndcg@10"],
        "after": entry["after"]["ndcg@10"],
        "steps": options.steps,
    }


def trimmed(options: argparse.Namespace) -> Path:
    """The teacher with the vocabulary of English and the language alone."""
    folder: Path = options.shared / "costs" / "trimmed_start"
    if not folder.is_dir():
        torch.set_num_threads(1)
        rows = read_bitext(options.bitext, language=options.language)
        model: Any = load_encoder(options.teacher)
        trim(model, [*rows["source"], *rows["translation"]]).model.save_pretrained(str(folder))
    return folder


def row(way: str, cost: dict[str, Any]) -> str:
    """One line of the table."""
    times = f"{cost['cpu_seconds']:.0f} | {cost['seconds_per_step']:.2f}"
    sizes = f"{cost['peak_memory_mb'] / 1000:.1f} | {cost['published_mb']:.0f}"
    return f"| {way} | {times} | {sizes} | {cost['before']:.3f} | {cost['after']:.3f} |"


if __name__ == "__main__":
    main()
