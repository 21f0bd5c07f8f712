"""Weights spread over two processes (FSDP2) train like those of one, are saved whole, and go on from a checkpoint."""

from __future__ import annotations

from pathlib import Path

import fsdp_training
import pytest
import tiny_models
import torch
from sentence_transformers import SentenceTransformer
from torchrun import torchrun

SCRIPT = Path(__file__).with_name("fsdp_training.py")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fsdp")
    for name, words, seed in (("student", tiny_models.SWAHILI, 1), ("teacher", tiny_models.ENGLISH, 0)):
        tiny_models.dense(folder / "parts", words, seed=seed).save_pretrained(str(folder / name))
    fsdp_training.main(folder, "one", sharded=False, resume=False)
    torchrun(SCRIPT, folder, "two", 1)
    return folder


def weights(folder, name):
    return torch.load(folder / f"{name}.pt", weights_only=True)


@pytest.mark.slow
def test_two_processes_train_like_one_to_the_fifth_digit(trained):
    one, two = weights(trained, "one"), weights(trained, "two")
    start = SentenceTransformer(str(trained / "student"), device="cpu").state_dict()
    assert one.keys() == two.keys() == start.keys()
    assert max((one[name] - value).abs().max() for name, value in start.items()) > 1e-2, "nothing was trained"
    assert max((one[name] - value).abs().max() for name, value in two.items()) < 1e-5


@pytest.mark.slow
def test_what_is_saved_loads_plainly(trained):
    for place in ("two/model", "two/checkpoint-20"):
        saved = SentenceTransformer(str(trained / place), device="cpu")
        for name, value in weights(trained, "two").items():
            assert torch.equal(saved.state_dict()[name], value), name
    assert "FSDP" not in (trained / "two" / "model" / "modules.json").read_text()
    assert "FSDP" not in (trained / "two" / "model" / "config.json").read_text()
