"""Speed and memory of the bitext doctor on each file of a folder, without models.

``python benchmarks/doctor.py [FOLDER] [--json FILE]``. Each file is examined in a process of its own, which has read
nothing before, with everything on that needs no model (near-duplicates, the lexical check); then once more
(``again``: tables are built), then by the fast form. Elapsed time depends on what else the machine does; processor
time much less. Both exclude the start of Python.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path

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
        f"{'file':<22}{'pairs':>8}{'pairs/s':>10}{'pairs/cpu-s':>13}{'again/cpu-s':>13}{'fast/cpu-s':>12}"
        f"{'MB':>7}{'B/row':>8}  verdict"
    )
    for path in sorted(options.folder.glob("*.jsonl.gz")):
        found = subprocess.run([sys.executable, __file__, "--one", path], capture_output=True, text=True, check=True)
        row = json.loads(found.stdout)
        rows.append(row)
        print(
            f"{row['file']:<22}{row['pairs']:>8}{row['pairs_per_second']:>10,}{row['pairs_per_cpu_second']:>13,}"
            f"{row['warm_pairs_per_cpu_second']:>13,}{row['fast_pairs_per_cpu_second']:>12,}"
            f"{row['peak_memory_mb']:>7}{row['bytes_per_row']:>8}  "
            f"{row['verdict']}",
            flush=True,
        )
    if options.json:
        report = {"processes": 1, "python": platform.python_version(), "machine": platform.machine(), "rows": rows}
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def measure(path: Path) -> dict[str, object]:
    from hf_optical.doctor import examine, quick_check

    wall, cpu = time.perf_counter(), time.process_time()
    verdict = examine(path).verdict
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    warm = time.process_time()
    examine(path)
    warm = time.process_time() - warm
    fast = time.process_time()
    quick_check(path)
    fast = time.process_time() - fast
    return {
        "file": path.name,
        "pairs": verdict.rows,
        "pairs_per_second": round(verdict.rows / wall),
        "pairs_per_cpu_second": round(verdict.rows / cpu),
        "warm_pairs_per_cpu_second": round(verdict.rows / warm),
        "fast_pairs_per_cpu_second": round(verdict.rows / fast),
        "peak_memory_mb": round(peak),
        "bytes_per_row": verdict.bytes_per_row,
        "verdict": verdict.level,
        "dropped": verdict.dropped,
        "counts": verdict.counts,
    }


if __name__ == "__main__":
    main()
