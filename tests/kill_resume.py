"""Kill a training at random moments, start it again each time, and compare its end with that of an undisturbed one.

``python tests/kill_resume.py --kills 30 --folder SOMEWHERE`` prints a verdict. The process that has imported everything
forks for every start, so that most of a start's time is training and not importing. Every step is trained, and the last
weights are compared; with ``--held_out 0.2`` those of the step that held-out pairs choose, after stopping early.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import random
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

from tqdm import tqdm

STEPS, EVERY = 60, 3


def workplace(folder: Path, held_out: float) -> list[str]:
    """Tiny teacher, bitext and retrieval set; the flags of a run on them."""
    import tiny_models

    folder.mkdir(parents=True, exist_ok=True)
    tiny_models.dense(folder, tiny_models.ENGLISH).save_pretrained(str(folder / "teacher"))
    rows = tiny_models.bitext(200)
    lines = [f"{row['source']}\t{row['translation']}" for row in rows]
    (folder / "pairs.tsv").write_text("en\tsw\n" + "\n".join(lines) + "\n", encoding="utf-8")
    place = folder / "eval"
    place.mkdir(exist_ok=True)
    texts = list(dict.fromkeys(rows["source"]))[:8]
    pairs = dict(zip(rows["source"], rows["translation"], strict=True))
    for name, values in (("corpus.en", texts), ("queries.sw", [pairs[text] for text in texts])):
        found = [json.dumps({"id": f"{name[0]}{i}", "text": text}) for i, text in enumerate(values)]
        (place / f"{name}.jsonl").write_text("\n".join(found) + "\n", encoding="utf-8")
    (place / "qrels.sw.trec").write_text("".join(f"q{i} 0 c{i} 1\n" for i in range(len(texts))))
    flags = {
        "teacher": folder / "teacher",
        "student": "copy",
        "language": "sw",
        "bitext": folder / "pairs.tsv",
        "eval": place,
        "max_steps": STEPS,
        "save_steps": EVERY,
        "batch_size": 8,
        "dropout": 0.1,  # so that the state of the random numbers counts
        "learning_rate": "1e-2",
        "held_out": held_out,
    }
    return [part for name, value in flags.items() for part in (f"--{name}", str(value))]


def start(flags: list[str], output: Path) -> int:
    """Fork a run; returns its process id."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        with open(output.with_suffix(".log"), "a", encoding="utf-8") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            from script_modules import load_recipe

            from hf_optical.configuration.parsing import run

            recipe = load_recipe("train")
            try:
                run(recipe.main, recipe.TrainConfig, [*flags, "--output_dir", str(output)])
            except SystemExit as stop:
                code = stop.code
    finally:
        os._exit(code)


def ended(child: int, seconds: float) -> int | None:
    """Wait at most so long; the exit code, or None if it still runs."""
    until = time.monotonic() + seconds
    while True:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() >= until:
            return None
        time.sleep(0.01)


def kill_and_resume(folder: Path, kills: int, seed: int = 0, held_out: float = 0.0) -> dict[str, object]:
    """Kill ``kills`` times, let the last start end, and compare.

    Returns:
        ``kills``, ``equal`` (weights bit for bit, and steps taken), ``ends`` (how often), ``steps`` of the whole run,
        ``resumed_from`` (steps), ``moments`` (seconds).
    """
    import torch
    from safetensors.torch import load_file

    torch.set_num_threads(1)
    # tqdm's lock lies in memory that all forks share: one that was killed while it held it would stop the others. It is
    # set before the first bar, for classes derived from tqdm keep the lock that they find then.
    tqdm.set_lock(threading.RLock())
    tqdm.monitor_interval = 0
    flags = workplace(folder, held_out)
    begun = time.monotonic()
    if ended(start(flags, folder / "whole"), 600) != 0:
        raise SystemExit(f"the undisturbed run failed: {folder / 'whole.log'}")
    whole = time.monotonic() - begun
    randomness, moments, ends = random.Random(seed), [], 1
    output = folder / "killed"
    while len(moments) < kills:
        child = start(flags, output)
        moment = randomness.uniform(0.05, 0.9) * whole
        code = ended(child, moment)
        if code is None:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            moments.append(round(moment, 2))
        elif code != 0:
            raise SystemExit(f"a start after {len(moments)} kills ended with code {code}: {output.with_suffix('.log')}")
        if (output / "results.json").is_file():  # it came through: all over again, until there have been enough kills
            _same(output, folder / "whole", load_file)
            ends += 1
            shutil.rmtree(output)
    if ended(start(flags, output), 600) not in (0,):
        raise SystemExit(f"the last start failed: {output.with_suffix('.log')}")
    log = output.with_suffix(".log").read_text(encoding="utf-8")
    steps = [int(line.rpartition("-")[2]) for line in log.splitlines() if line.startswith("Resuming from")]
    return {
        "kills": len(moments),
        "equal": _same(output, folder / "whole", load_file),
        "ends": ends,
        "steps": _steps(output),
        "resumed_from": steps,
        "moments": moments,
        "seconds_of_a_whole_run": round(whole, 1),
    }


def _same(one: Path, other: Path, load: object) -> bool:
    weights = [load(folder / "model" / "model.safetensors") for folder in (one, other)]  # type: ignore[operator]
    same = weights[0].keys() == weights[1].keys() and all(
        weights[0][name].equal(value) for name, value in weights[1].items()
    )
    if not same:
        raise SystemExit(f"{one} and {other} have different weights")
    if _steps(one) != _steps(other):
        raise SystemExit(f"{one} took {_steps(one)} steps, {other} {_steps(other)}")
    return same


def _steps(folder: Path) -> int:
    history = json.loads((folder / "results.json").read_text(encoding="utf-8"))["history"]
    return max(int(entry["step"]) for entry in history)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--held_out", type=float, default=0.0, help="share of the pairs that choose the step")
    options = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parent))
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    importlib.import_module("hf_optical.runs.training_run")  # before the first fork
    sys.stdout.write(f"{kill_and_resume(options.folder, options.kills, options.seed, options.held_out)}\n")
