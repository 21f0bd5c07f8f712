"""Speed and memory of the bitext doctor on each file of a folder, without models.

``python benchmarks/doctor.py [FOLDER] [--json FILE]``. Each file is examined several times in a process of its own,
read from disk each time, with everything on that needs no model (near-duplicates, the lexical check), then by the fast
form; the best of the repeats counts. The start of the process (Python, imports, the table of characters) is measured on
two rows and given by itself. Elapsed time depends on what else the machine does, processor time much less; the lexical
check uses two threads, so that an idle machine with two cores is faster than a processor second says.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path

_REPEATS, _LEAST_SECONDS = 5, 1.0
_FOLDER = Path(__file__).resolve().parents[1].parent / "shared" / "data" / "bitext"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=_FOLDER, help="files named <language>.<split>.jsonl.gz")
    parser.add_argument("--json", type=Path, help="also write the measurements to this file")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one)))
        return
    rows = []
    print(
        f"{'file':<22}{'pairs':>8}{'pairs/s':>10}{'pairs/cpu-s':>13}{'fast/cpu-s':>12}{'start s':>9}{'MB':>7}"
        f"{'B/row':>8}  verdict"
    )
    for path in sorted(options.folder.glob("*.jsonl.gz")):
        found = subprocess.run([sys.executable, __file__, "--one", path], capture_output=True, text=True, check=True)
        row = json.loads(found.stdout)
        rows.append(row)
        print(
            f"{row['file']:<22}{row['pairs']:>8}{row['pairs_per_second']:>10,}{row['pairs_per_cpu_second']:>13,}"
            f"{row['fast_pairs_per_cpu_second']:>12,}{row['start_seconds']:>9}{row['peak_memory_mb']:>7}"
            f"{row['bytes_per_row']:>8}  {row['verdict']}",
            flush=True,
        )
    if options.json:
        report = {
            "processes": 1,
            "threads": "2 from 2,000 rows",
            "repeats": f"at least {_REPEATS}, and {_LEAST_SECONDS} s",
            "load": [round(load, 1) for load in os.getloadavg()],
            "python": platform.python_version(),
            "machine": platform.machine(),
            "rows": rows,
        }
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def measure(path: Path) -> dict[str, object]:
    start = time.process_time()
    from hf_optical.doctor import examine, quick_check

    examine([("Good morning", "Habari ya asubuhi"), ("A café", "Mgahawa")], language="sw")
    start = time.process_time() - start
    elapsed: list[float] = []
    processor: list[float] = []
    fast: list[float] = []
    while len(elapsed) < _REPEATS or sum(processor) < _LEAST_SECONDS:
        wall, cpu = time.perf_counter(), time.process_time()
        verdict = examine(path).verdict
        elapsed.append(time.perf_counter() - wall)
        processor.append(time.process_time() - cpu)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    for _ in range(_REPEATS):
        cpu = time.process_time()
        quick_check(path)
        fast.append(time.process_time() - cpu)
    return {
        "file": path.name,
        "pairs": verdict.rows,
        "pairs_per_second": round(verdict.rows / min(elapsed)),
        "pairs_per_cpu_second": round(verdict.rows / min(processor)),
        "fast_pairs_per_cpu_second": round(verdict.rows / min(fast)),
        "start_seconds": round(start, 2),
        "peak_memory_mb": round(peak),
        "bytes_per_row": verdict.bytes_per_row,
        "verdict": verdict.level,
        "dropped": verdict.dropped,
        "counts": verdict.counts,
    }


if __name__ == "__main__":
    main()
