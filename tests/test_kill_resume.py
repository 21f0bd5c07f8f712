"""`kill -9` at random moments; `python tests/kill_resume.py --kills 30 --folder F` does it more often."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("kill_resume.py")


def test_a_killed_training_ends_with_the_weights_of_an_undisturbed_one(tmp_path):
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--kills", "3", "--folder", str(tmp_path)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = ast.literal_eval(done.stdout.strip().splitlines()[-1])
    assert found["equal"] and found["kills"] == 3 and found["resumed_from"]
