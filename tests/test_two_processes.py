from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torchrun import ranks_of, torchrun

SCRIPT = Path(__file__).with_name("distributed_training.py")


def train(folder: Path, processes: int, late: bool) -> list[dict]:
    torchrun(SCRIPT, folder, int(late), processes=processes)
    return ranks_of(folder, processes)


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
