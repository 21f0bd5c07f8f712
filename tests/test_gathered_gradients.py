"""Two processes give the loss and the gradients of one process with the same global batch."""

from __future__ import annotations

import gathered_gradients as script
import pytest
import torch
from torchrun import ranks_of, torchrun


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    """The folder of the models, and what both ranks found."""
    folder = tmp_path_factory.mktemp("gathered")
    script.save_models(folder)
    torchrun(script.__file__, folder, timeout=540)
    return folder, ranks_of(folder)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("case", script.CASES, ids=lambda case: script.name_of(*case))
def test_loss_and_gradients_of_two_processes_are_those_of_one(two_processes, case):
    folder, ranks = two_processes
    name = script.name_of(*case)
    expected = script.one_step(folder, *case, processes=1)
    assert max(float(value.abs().max()) for key, value in expected.items() if key != "loss") > 1e-3
    for key, value in expected.items():
        assert torch.equal(ranks[0][name][key], ranks[1][name][key]), f"the ranks disagree on {key}"
        torch.testing.assert_close(
            ranks[0][name][key], value, atol=1e-5, rtol=0, msg=lambda text, key=key: f"{key}: {text}"
        )
