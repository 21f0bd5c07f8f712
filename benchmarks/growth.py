"""How time and memory grow: with the number of pairs, the length of the texts, and the number of adapters.

    python benchmarks/growth.py --model MODEL --output benchmarks/results/growth.json
    python benchmarks/growth.py --model MODEL --parts read sample --pairs 10000000 --output FILE
    python benchmarks/growth.py --draw benchmarks/results/growth.json benchmarks/results/growth.svg

Every point is measured in a process of its own, forked after the imports: seconds of its processor (the machine may be
busy), one thread, and resident memory at its most beyond what it had at its start. Memory-mapped files count while the
system keeps them. Pairs are synthetic: 4 to 24 words drawn by Zipf's law from 30,000. The exponent is the slope of a
line through the logarithms, over all points and over the two largest: 1 is linear.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import multiprocessing
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from growth_figure import PARTS, TIME, figure  # beside this file
from growth_pairs import arrow, arrow_name, data, rows, words

from hf_optical.adapters import LanguageAdapters
from hf_optical.adapters.rows import ROW_KEY, row_numbers
from hf_optical.batching import LengthGroupedBatchSampler
from hf_optical.batching.collation import OTDistillationDataCollator
from hf_optical.data.bitext import read_bitext
from hf_optical.data.languages import known_codes
from hf_optical.encoders.models import load_encoder
from hf_optical.losses import OTDistillationLoss
from hf_optical.results.files import versions, write_json
from hf_optical.students import starting_student

LENGTHS, ADAPTERS, BATCH = (8, 16, 32, 64, 128), (1, 4, 16, 64), 16
Measured = dict[str, float]


def measured(task: Callable[[], Any]) -> Measured:
    """Carry a task out in a child: processor seconds, and peak memory beyond that at its start."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def child() -> None:
        torch.set_num_threads(1)
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")  # forget the parent's peak
        before, start, wall = _memory("VmRSS"), time.process_time(), time.perf_counter()
        found = task()
        result = {"seconds": time.process_time() - start, "wall": time.perf_counter() - wall}
        result |= {"peak_mb": _memory("VmHWM") - before, "resident_mb": _memory("VmHWM")}
        sender.send(result | (found if isinstance(found, dict) else {}))

    process = context.Process(target=child)
    process.start()
    sender.close()
    found = receiver.recv()
    process.join()
    return {name: round(value, 4) for name, value in found.items()}


def _memory(name: str) -> float:
    """A line of this process's status, in MB of 1,000,000 bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024 / 1e6
    return float("nan")


def read(path: Path) -> Measured:
    found = read_bitext(path)
    if found.cache_files:  # for the sampler: the reader removes its own name of the file
        with contextlib.suppress(OSError):
            os.link(found.cache_files[0]["filename"], arrow_name(path.parent, len(found)))
    return {"rows": float(len(found))}


def sample(path: Path) -> Measured:
    """Make the sampler over a memory-mapped set and draw all batches of an epoch."""
    dataset = Dataset.from_file(str(path))
    start = time.process_time()
    sampler = LengthGroupedBatchSampler(dataset, batch_size=32, drop_last=False)
    made = time.process_time()
    batches = sum(1 for _ in sampler)
    return {"batches": float(batches), "set_up": made - start, "epoch": time.process_time() - made}


def read_and_sample(path: Path) -> Measured:
    """Both in one process, as a training has them."""
    dataset = read_bitext(path)
    sampler = LengthGroupedBatchSampler(dataset, batch_size=32, drop_last=False)
    return {"rows": float(len(dataset)), "batches": float(sum(1 for _ in sampler))}


def grow(teacher: Any, count: int) -> Measured:
    made = Dataset.from_list(list(rows(count)))
    start = time.process_time()
    student = starting_student("extend", teacher, made)
    return {"growing": time.process_time() - start, "pieces": float(len(student.tokenizer))}


def step(teacher: Any, tokens: int, adapters: int, repeats: int) -> Measured:
    """Forward, backward and optimizer of a copy of the teacher on bitext, median of some; adapters by row."""
    student = starting_student("copy", teacher, Dataset.from_list(list(rows(4))))
    student.train()
    text = words(tokens)
    batch = [{"source": text(tokens), "translation": text(tokens)} for _ in range(BATCH)]
    names: list[str] = []
    if adapters:
        added = LanguageAdapters(student)
        names = [code for code in known_codes() if code != "eng_Latn"][:adapters]
        for name in names:
            added.add(name, r=16)
    collator = OTDistillationDataCollator.for_models(student, teacher, max_length=tokens)
    loss = OTDistillationLoss(student, teacher)
    optimizer = torch.optim.AdamW([weight for weight in student.parameters() if weight.requires_grad], fused=True)
    features = collator(batch)
    sides = []
    for side in ("source", "translation"):
        part = {key[len(side) + 1 :]: value for key, value in features.items() if key.startswith(f"{side}_")}
        if adapters and side == "translation":
            part[ROW_KEY] = row_numbers([names[row % len(names)] for row in range(BATCH)])
        sides.append(part)
    times = []
    for _ in range(repeats + 1):
        start = time.process_time()
        result = loss([dict(side) for side in sides], None)
        total = sum(result.values()) if isinstance(result, dict) else result
        total.backward()
        optimizer.step()
        optimizer.zero_grad()
        times.append(time.process_time() - start)
    return {"step": statistics.median(times[1:]), "tokens": float(sides[1]["input_ids"].shape[1])}


def exponents(points: list[tuple[float, float]]) -> dict[str, float]:
    """Slopes of a line through the logarithms: of all points, and of the last two."""
    kept = [(math.log(n), math.log(value)) for n, value in points if value > 0]
    if len(kept) < 2:
        return {}
    x, y = np.array(kept).T
    last = (y[-1] - y[-2]) / (x[-1] - x[-2])
    return {"all": round(float(np.polyfit(x, y, 1)[0]), 3), "last": round(float(last), 3)}


def measure(part: str, options: argparse.Namespace, folder: Path, teacher: Any) -> list[Measured]:
    found = []
    if part in ("read", "sample"):
        for count in options.pairs:
            path = data(folder, count) if part == "read" else arrow(folder, count)
            found.append({"n": count, **measured(lambda path=path: (read if part == "read" else sample)(path))})
            print(part, found[-1], flush=True)
        return found
    if part == "grow":
        sizes, task = options.grown, lambda n: grow(teacher, n)
    elif part == "length":
        sizes, task = list(LENGTHS), lambda n: step(teacher, n, 0, options.repeats)
    else:
        sizes, task = list(ADAPTERS), lambda n: step(teacher, 32, n, options.repeats)
    for size in sizes:
        found.append({"n": size, **measured(lambda size=size: task(size))})
        print(part, found[-1], flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a sentence-transformers model, for the parts that need one")
    parser.add_argument("--parts", nargs="+", choices=[*PARTS, "both"], default=list(PARTS))
    parser.add_argument("--pairs", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--grown", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--scratch", type=Path, default=None, help="where files are made, and removed again")
    parser.add_argument("--output", type=Path, default=None)
    parser.add_argument("--draw", type=Path, nargs=2, metavar=("JSON", "SVG"), default=None)
    options = parser.parse_args()
    if options.draw:
        figure(json.loads(options.draw[0].read_text())).save(options.draw[1])
        return
    torch.set_num_threads(1)
    os.environ["HF_DATASETS_DISABLE_PROGRESS_BARS"] = "1"
    needs = {"grow", "length", "adapters"} & set(options.parts)
    teacher = load_encoder(options.model, device="cpu") if needs else None
    results: dict[str, Any] = {
        "command": "python benchmarks/growth.py",
        "versions": versions(),
        "machine": platform.machine(),
        "threads": 1,
        "clock": "processor time of a process per point",
        "batch": BATCH,
        "parts": {},
        "exponents": {},
    }
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        tempfile.tempdir = scratch  # forked children leave without removing what they made
        for part in options.parts:
            if part == "both":
                paths = [(count, data(Path(scratch), count)) for count in options.pairs]
                found = [{"n": count, **measured(lambda path=path: read_and_sample(path))} for count, path in paths]
                results["read_and_sample"] = found
                print(found, flush=True)
                continue
            found = results["parts"][part] = measure(part, options, Path(scratch), teacher)
            results["exponents"][part] = {
                "time": exponents([(point["n"], point[TIME[part]]) for point in found]),
                "memory": exponents([(point["n"], point["peak_mb"]) for point in found]),
            }
            if options.output:
                write_json(options.output, results)
    if options.output:
        write_json(options.output, results)


if __name__ == "__main__":
    main()
