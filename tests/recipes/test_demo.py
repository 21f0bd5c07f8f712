"""The embedded default does what `make demo` promises, on one process and on two."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def launch(folder: Path, *flags: str, config: str = "single") -> str:
    command = [sys.executable, "-m", "accelerate.commands.launch"]
    command += ["--config_file", str(ROOT / "recipes" / "accelerate" / f"{config}.yaml"), "--main_process_port", "0"]
    command += [str(ROOT / "recipes" / "train.py"), "--output_dir", str(folder), *flags]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_the_demo_reaches_what_it_promises(tmp_path):
    printed = launch(tmp_path / "out")
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    (entry,) = results["evaluations"]
    scores = {row: entry[row]["ndcg@10"] for row in ("raw", "before", "after", "ceiling")}
    assert scores["after"] >= 3 * max(scores["raw"], scores["before"])
    assert scores["after"] >= 0.7 * scores["ceiling"]
    assert results["alignment"]["aer"] < min(0.25, results["alignment"]["aer_random"] / 2)
    assert (tmp_path / "out" / "figures" / "plan.png").is_file()
    assert "win: better beyond chance" in printed


@pytest.mark.slow
def test_two_processes_agree_on_the_weights(tmp_path):
    printed = launch(tmp_path / "out", "--max_steps", "20", "--language", "mar_Deva", config="two_cpu_processes")
    assert "2 processes have equal weights" in printed
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results["processes"] == 2
