"""Two processes, or accumulated batches, train like one process with the same batch: weights after twenty steps."""

from __future__ import annotations

from pathlib import Path

import equivalent_training as script
import pytest
import torch
from torchrun import ranks_of, torchrun

# A mean over rows is the mean of the means of equal parts of them; a loss that compares the rows of a batch is not.
ADDS_UP = ("ot", "ot-late", "mse", "ot+rank")
COMPARES = ("nce", "mono", "lexical")
CODES = (*script.LANGUAGES, script.UNUSED)


def distance(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    assert one.keys() == other.keys()
    return max(float((one[key] - other[key]).abs().max()) for key in one)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of the models."""
    place = tmp_path_factory.mktemp("equivalent")
    script.save_models(place)
    return place


@pytest.fixture(scope="module")
def two_processes(folder):
    """What both ranks found."""
    torchrun(script.__file__, folder)
    return ranks_of(folder)


def start(folder: Path, name: str) -> dict[str, torch.Tensor]:
    return script.load_encoder(str(folder / script.student_of(name)), device="cpu").state_dict()


@pytest.mark.slow
@pytest.mark.parametrize("name", script.CASES)
def test_two_processes_end_with_the_weights_of_one(folder, two_processes, name):
    assert distance(two_processes[0][name], two_processes[1][name]) == 0, "the ranks disagree"
    one = script.train(folder, name)
    before = start(folder, name)
    if "mixed" in script.CASES[name][0]:  # the base stays as it is, and the second factor of adapters begins at zero
        bodies = {key.replace(".base_layer", ""): value for key, value in one.items() if ".lora_" not in key}
        assert distance(bodies, before) == 0
        moved = {code: max(float(one[key].abs().max()) for key in one if f"lora_B.{code}" in key) for code in CODES}
        assert moved[script.UNUSED] == 0
        assert min(moved[code] for code in script.LANGUAGES) > 1e-3, "nothing was trained"
    else:
        assert distance(one, before) > 1e-3, "nothing was trained"
    assert distance(one, two_processes[0][name]) < 1e-5


@pytest.mark.parametrize("name", ADDS_UP)
def test_four_batches_of_eight_are_one_of_thirty_two(folder, name):
    whole = script.train(folder, name, batch=32)
    parts = script.train(folder, name, batch=32, accumulate=4)
    assert distance(whole, start(folder, name)) > 1e-3, "nothing was trained"
    assert distance(whole, parts) < 1e-5


@pytest.mark.parametrize("name", COMPARES)
def test_losses_that_compare_rows_have_fewer_negatives_in_accumulated_batches(folder, name):
    batch = 16 if name == "lexical" else 32
    whole = script.train(folder, name, batch=batch)
    parts = script.train(folder, name, batch=batch, accumulate=4)
    assert distance(whole, parts) > 1e-3, "README and docs say that these differ"


def test_the_cached_contrastive_loss_is_the_way_to_large_batches_in_little_memory(folder):
    whole = script.train(folder, "mono", batch=32)
    cached = script.train(folder, "mono", batch=32, contrastive_mini_batch=8)
    assert distance(whole, cached) < 1e-5
