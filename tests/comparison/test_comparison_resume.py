"""A comparison that is killed outright goes on where it was, and repeats no finished arm."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from stub_comparison import write_recipe

ROOT = Path(__file__).resolve().parents[2]
ARMS = {name: {"objective": name, "learning_rate": 0.0, "logging_steps": 0.0} for name in ("first", "second", "third")}


@pytest.fixture
def comparison(tmp_path):
    """The real command with a stub of the training command."""
    program = (
        "from hf_optical.commands import compare\nfrom hf_optical.configuration.parsing import run\n"
        f"compare.TRAINING = {write_recipe(tmp_path)!r}\nrun(compare.main, compare.CompareConfig)\n"
    )
    (tmp_path / "compare.py").write_text(program)
    return tmp_path


def start(folder, arms, **options):
    import yaml

    config = {"output_dir": "out", "references": [], "seeds": [0], "arms": arms, "plans": 0, **options}
    config |= {"languages": {"sw": {"bitext": "b"}}, "common": {"student": "extend", "teacher": "t"}}
    (folder / "compare.yaml").write_text(yaml.safe_dump(config))
    environment = {**os.environ, "STUB_CALLS": str(folder / "calls.txt"), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "compare.py", "--config", "compare.yaml"],
        cwd=folder, env=environment, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def wait_for(folder, line, limit=120):
    calls = folder / "calls.txt"
    for _ in range(limit * 10):
        if calls.exists() and any(line in found for found in calls.read_text().splitlines()):
            return
        time.sleep(0.1)
    raise AssertionError(f"{line!r} never happened")


def counts(folder, word):
    lines = (folder / "calls.txt").read_text().splitlines()
    return {arm: sum(line.startswith(word) and f"/{arm}/" in line for line in lines) for arm in ARMS}


@pytest.mark.parametrize("everything", [True, False])
def test_a_killed_comparison_repeats_no_finished_arm(comparison, everything):
    arms = {**ARMS, "second": {**ARMS["second"], "logging_steps": 6.0}}
    process = start(comparison, arms)
    wait_for(comparison, "begun out/runs/swh_Latn/second")
    if everything:  # the machine goes down: the run with it
        os.killpg(process.pid, signal.SIGKILL)
    else:  # the comparison alone is killed: its run goes on as an orphan
        os.kill(process.pid, signal.SIGKILL)
    process.wait()
    again = start(comparison, arms)
    output, _ = again.communicate(timeout=200)
    assert again.returncode == 0, output
    assert counts(comparison, "ended") == dict.fromkeys(ARMS, 1)
    begun = counts(comparison, "begun")
    assert begun == {"first": 1, "second": 2 if everything else 1, "third": 1}
    assert json.loads((comparison / "out" / "results.json").read_text())["done"] == 3
