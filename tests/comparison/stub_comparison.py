"""A stand-in for the training recipe, and comparisons made with it: seconds in place of hours."""

from __future__ import annotations

import json
from pathlib import Path

from hf_optical.comparison import cells_of, run_cells

RECIPE = """
import json, os, pathlib, random, sys, time
flags = dict(zip(sys.argv[1::2], sys.argv[2::2]))
out = pathlib.Path(flags["--output_dir"])
with open(os.environ.get("STUB_CALLS", out / "calls.txt"), "a") as calls:
    calls.write("begun " + out.as_posix() + chr(10))
time.sleep(float(flags.get("--logging_steps", 0)))
out.mkdir(parents=True, exist_ok=True)
(out / "model").mkdir(exist_ok=True)
(out / "untrained").mkdir(exist_ok=True)
(out / "model" / "weights").write_bytes(b"0" * 2_000_000)
if flags["--objective"] == "broken":
    sys.exit("no such objective")
draw = random.Random(flags["--seed"] + flags["--objective"])
base = random.Random(flags["--language"])
hard = [base.random() * 0.4 for _ in range(60)]
pairs = int(flags.get("--max_pairs", 4000))
gain = float(flags["--learning_rate"]) + 0.1 - 1.5 * pairs ** -0.5

def scores(level, noise):
    return {f"q{i}": {"ndcg@10": min(1, max(0, level + h + draw.gauss(0, noise)))} for i, h in enumerate(hard)}

rows = {"after": scores(0.3 + gain, 0.05), "english_after": scores(0.5, 0.05)}
if flags["--measure_start"] == "True":
    rows |= {"raw": scores(0.2, 0), "before": scores(0.22, 0), "initialized": scores(0.27 - pairs ** -0.5, 0),
             "ceiling": scores(0.55, 0)}
name = "toy/" + flags["--language"]
(out / "per_query.json").write_text(json.dumps({name: rows}))
bias = {"rank_distance": 30.0, "mean_rank_correlation": 0.5, "worst_score": 0.2}
results = {"pairs": pairs, "seconds": 12.0 + time.time() % 1, "peak_memory_mb": 900.0 + time.time() % 1,
           "history": [{"train_runtime": 8.0 + time.time() % 1}],
           "data": [{"path": "toy <b>data</b>.jsonl", "rows": 5, "sha256": "0123456789abcdef" * 4}],
           "evaluations": [{"set": "pool", "language": "multi", "n": 60, "bias": {"after": bias}}]}
scratch = out / "results.scratch"
scratch.write_text(json.dumps(results))
scratch.rename(out / "results.json")
with open(os.environ.get("STUB_CALLS", out / "calls.txt"), "a") as calls:
    calls.write("ended " + out.as_posix() + chr(10))
"""


def write_recipe(folder: Path) -> tuple[str]:
    """The stand-in as a file; what Python is started with to run it."""
    file = folder / "train.py"
    file.write_text(RECIPE)
    return (str(file),)


def run_stub(folder: Path, arms: dict, languages=("sw", "so"), seeds=(0, 1, 2), **options):
    """Cells of a finished stub comparison."""
    cells = cells_of(
        folder / "out",
        {"max_steps": 3, "batch_size": 2, "teacher": "t", "student": "extend"},
        {language: {"bitext": "b"} for language in languages},
        arms,
        list(seeds),
        pairs=dict.fromkeys(languages, 4000),
        **options,
    )
    run_cells(cells, write_recipe(folder), workers=4)
    return cells


def write_plans(cell) -> None:
    words = {"rows": ["mbuzi", "<i>analala</i>"], "columns": ["the", "goat", "sleeps"]}
    plan = [[0.2, 0.3, 0.0], [0.1, 0.0, 0.4]]
    entry = {"source": "s", "translation": "t", "before": {**words, "plan": plan, "words": True}}
    entry["after"] = {**words, "plan": plan[::-1], "words": False}
    (cell.folder / "plans.json").write_text(json.dumps([entry]))
