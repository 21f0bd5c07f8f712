"""What ``import hf_optical`` costs, and every public name after it, in fresh interpreters.

``python benchmarks/import_time.py [--repeats 5] [--output benchmarks/results/import_time.json]``. Seconds are processor
time of the child, less that of an interpreter that imports nothing, interleaved. Of the public names, Python's own
account (``-X importtime``) says which share of the time went into modules of this package; the rest is its hosts'.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
from pathlib import Path

from hf_optical.results.files import versions, write_json

CODE = {
    "nothing": "pass",
    "import hf_optical": "import hf_optical",
    "recipes/train.py --help": "from hf_optical.configuration.parsing import help_text\n"
    "from hf_optical.runs.options import TrainConfig\nhelp_text(TrainConfig)",
    "every public name": "import hf_optical\nfor name in hf_optical.__all__: getattr(hf_optical, name)",
}


def seconds(code: str) -> tuple[float, str]:
    """Processor seconds of an interpreter that runs the code, and Python's account of its imports."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-X", "importtime", "-c", code]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stderr


def own_share(account: str, package: str = "hf_optical") -> float:
    """The share of import time that went into the modules of a package themselves."""
    own = total = 0
    for line in account.splitlines():
        parts = line.removeprefix("import time:").split("|")
        if len(parts) == 3 and parts[0].strip().isdigit():
            total += int(parts[0])
            own += int(parts[0]) if parts[2].strip().split(".")[0] == package else 0
    return own / max(1, total)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path, default=None)
    options = parser.parse_args()
    found: dict[str, list[float]] = {name: [] for name in CODE}
    shares = []
    for _ in range(options.repeats):
        for name, code in CODE.items():
            taken, account = seconds(code)
            found[name].append(taken)
            if name == "every public name":
                shares.append(own_share(account))
    nothing = statistics.median(found.pop("nothing"))
    ways = {"median": statistics.median, "min": min, "max": max}
    rows = {name: {key: round(way(taken) - nothing, 3) for key, way in ways.items()} for name, taken in found.items()}
    share = statistics.median(shares)
    whole = rows["every public name"]["median"]
    results = {
        "command": "python benchmarks/import_time.py",
        "versions": versions(),
        "machine": platform.machine(),
        "clock": "processor time of the child, less an interpreter that imports nothing",
        "repeats": options.repeats,
        "seconds": rows,
        "every public name, in our own modules": {"share": round(share, 3), "seconds": round(share * whole, 3)},
    }
    for name, row in rows.items():
        print(f"{name:26}{row['median']:8.3f} s  ({row['min']:.3f} to {row['max']:.3f})")
    print(f"{'of that, our own modules':26}{share * whole:8.3f} s  ({share:.1%})")
    if options.output:
        write_json(options.output, results)


if __name__ == "__main__":
    main()
