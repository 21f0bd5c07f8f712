"""How fast pieces are aligned, and in how much memory: `hf_optical.students.sequence_counts`, linear to 10^6 pairs?

    python benchmarks/rows_scale.py --pairs 10000 100000 1000000 --pieces 15

Processor seconds of one thread (the machine may be busy) and peak resident memory beyond that at the start, the
sequences themselves not counted, on synthetic pairs; each size in a process of its own. The lexical models that start
it see 20,000 pairs at most.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from growth import _memory, exponents  # beside this file

from hf_optical.results.files import versions, write_json
from hf_optical.students.alignment_counts import alignment_counts
from hf_optical.students.bitext_init import TRANSPORT
from hf_optical.students.piece_sequences import PieceSequences
from hf_optical.students.sequence_counts import sequence_counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--pieces", type=int, default=15, help="pieces a side, in the mean (default: %(default)s)")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/rows_scale.json"))
    options = parser.parse_args()
    report = json.loads(options.json.read_text(encoding="utf-8")) if options.json.exists() else {"points": []}
    for size in options.pairs:
        point = {"pairs": size, "pieces": options.pieces, **scaled(size, options.pieces)}
        report["points"].append(point)
        report["versions"] = versions()
        write_json(options.json, report)
        print(point, flush=True)
    own = [point for point in report["points"] if point["pieces"] == options.pieces]
    for name in ("seconds", "peak_mb"):
        print(f"exponent of {name}:", exponents([(point["pairs"], point[name]) for point in own]))


def scaled(pairs: int, pieces: int) -> dict[str, float]:
    """Processor seconds and peak memory of counting in synthetic pairs, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_count_synthetic, args=(pairs, pieces, sender))
    process.start()
    sender.close()
    found = receiver.recv()
    process.join()
    return found


def _count_synthetic(pairs: int, pieces: int, sender: Any) -> None:
    torch.set_num_threads(1)
    sources, targets = synthetic(pairs, pieces)
    few = range(min(pairs, 20_000))
    before, started = _memory("VmRSS"), time.process_time()
    start = alignment_counts([sources[i] for i in few], [targets[i] for i in few], (40_000, 30_000))
    lexical = time.process_time() - started
    counts = sequence_counts(sources, targets, start, TRANSPORT)
    seconds = time.process_time() - started
    sender.send(
        {
            "lexical_seconds": round(lexical, 2),
            "seconds": round(seconds, 2),
            "pairs_per_second": round(pairs / seconds, 1),
            "sequences_mb": round((sources.pieces.nbytes + targets.pieces.nbytes + 16 * pairs) / 1e6, 1),
            "peak_mb": round(_memory("VmHWM") - before, 1),
            "couples": int(counts.nnz),
        }
    )


def synthetic(pairs: int, pieces: int) -> tuple[PieceSequences, PieceSequences]:
    """Sentences by Zipf's law; the other side holds their pieces' counterparts, some moved or lost."""
    generator = np.random.default_rng(0)
    ends = np.concatenate([[0], np.cumsum(generator.integers(pieces // 2, pieces * 3 // 2 + 1, pairs))])
    weights = np.cumsum(1 / np.arange(1, 40_001))

    def drawn(count: int) -> np.ndarray:
        return np.searchsorted(weights, generator.random(count) * weights[-1]).astype(np.int32)

    foreign = drawn(int(ends[-1]))
    english = foreign % 30_000
    noise = generator.random(len(english)) < 0.2
    english[noise] = drawn(int(noise.sum())) % 30_000
    moved = np.flatnonzero(generator.random(len(english) - 1) < 0.2)
    english[moved], english[moved + 1] = english[moved + 1].copy(), english[moved].copy()
    return PieceSequences(foreign, ends), PieceSequences(english, ends)


if __name__ == "__main__":
    main()
