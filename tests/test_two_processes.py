from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).with_name("distributed_training.py")


def train(folder: Path, processes: int, late: bool) -> dict:
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", str(processes), "--master_port", "0"]
    command += ["--rdzv-backend=c10d", "--rdzv-endpoint=localhost:0", str(SCRIPT), str(folder), str(int(late))]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(SCRIPT.parent)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    return {int(file.stem[-1]): torch.load(file, weights_only=True) for file in folder.glob("rank*.pt")}


@pytest.mark.slow
@pytest.mark.parametrize("late", [False, True], ids=["dense", "late-interaction"])
def test_two_processes_train_like_one_with_the_same_batch(tmp_path, late):  # trap 14
    (one, two) = (train(tmp_path / name, processes, late) for name, processes in (("one", 1), ("two", 2)))
    for name, value in two[0].items():
        assert torch.equal(value, two[1][name]), f"the ranks disagree on {name}"
        torch.testing.assert_close(value, one[0][name], atol=1e-5, rtol=0, msg=name)
    start = torch.load(tmp_path / "one" / "start.pt", weights_only=True)
    assert any((start[name] - value).abs().max() > 1e-3 for name, value in two[0].items()), "nothing was trained"
    logs = [json.loads((tmp_path / name / "logs.json").read_text()) for name in ("one", "two")]
    assert logs[1] == pytest.approx(logs[0], abs=2e-3)
