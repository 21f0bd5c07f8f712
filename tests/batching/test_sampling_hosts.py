"""The samplers in a stock ST trainer: one process, two processes, resumed."""

from __future__ import annotations

import importlib.util
import json
from collections import Counter
from pathlib import Path

import pytest
from torchrun import torchrun

RUN = Path(__file__).with_name("sampling_run.py")


@pytest.fixture(scope="module")
def run():
    spec = importlib.util.spec_from_file_location("sampling_run", RUN)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def kind(run, batch):
    """Kind of a batch, after checking its rules; row ``i`` of every dataset has the underlying id ``i``."""
    names = {run.NAMES[row // run.ROWS] for row in batch}
    kinds = {name.partition("/")[0] for name in names}
    assert len(kinds) == 1
    assert kinds == {"cross"} or len(names) == 1
    assert len({row % run.ROWS for row in batch}) == len(batch)
    return kinds.pop()


def test_stock_trainer_by_one_argument(run, tmp_path):
    seen, trainer = run.train(tmp_path / "model", tmp_path / "run", "hybrid", max_steps=4, save_steps=4)
    assert [len(batch) for batch in seen] == [4] * 4
    kinds = Counter(kind(run, batch) for batch in seen)
    sampler = trainer.callback_handler.train_dataloader.batch_sampler
    assert len(sampler) == 24
    # The host reads one batch ahead.
    assert sum(sampler.realised()["batches"].values()) - 1 == sum(kinds.values())
    assert (tmp_path / "run" / "checkpoint-4" / "training_args.bin").stat().st_size < 20_000


def test_stock_trainer_with_lengths_grouped(run, tmp_path):
    seen, trainer = run.train(tmp_path / "model", tmp_path / "run", "grouped", num_train_epochs=1, save_strategy="no")
    assert sorted(row for batch in seen for row in batch) == list(range(96))
    assert len(trainer.callback_handler.train_dataloader) == 24


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("sampler", ["hybrid", "grouped"])
def test_two_processes_share_the_epoch_and_resume_in_the_second(run, tmp_path, sampler):
    torchrun(RUN, tmp_path, sampler, timeout=540)
    ranks = [json.loads((tmp_path / f"rank-{rank}" / "seen.json").read_text()) for rank in range(2)]
    epochs = []
    for seen in ranks:
        assert len(seen["whole"]) == 24
        assert seen["tail"] == seen["whole"][17:], "a resumed run draws other batches than the whole one"
        epochs.append((seen["whole"][:12], seen["whole"][12:]))
    for one, other in zip(*epochs, strict=True):
        assert one != other
        if sampler == "grouped":
            assert sorted(row for batch in one + other for row in batch) == list(range(96))
        else:
            assert {kind(run, batch) for batch in one + other} == {"mono", "cross"}
    assert epochs[0][0] != epochs[0][1], "the second epoch repeats the first"
