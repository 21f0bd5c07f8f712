from __future__ import annotations

import numpy as np
import pytest
import tiny_models
import torch

from hf_optical.configuration.parsing import run
from hf_optical.errors import OutOfMemoryError, explained, is_out_of_memory
from hf_optical.training.arguments import OTDistillationTrainingArguments
from hf_optical.training.out_of_memory import training_remedies
from hf_optical.training.trainer import OTDistillationTrainer

CUDA = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 14.7 GiB of which 1 GiB is free."
ERRORS = [
    torch.OutOfMemoryError(CUDA),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to ..."),
    MemoryError(),
]


@pytest.fixture
def trainer(tmp_path):
    def make(**options):
        args = OTDistillationTrainingArguments(
            output_dir=str(tmp_path / "out"),
            objective="ot+nce",
            max_steps=4,
            use_cpu=True,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            **{"per_device_train_batch_size": 8, "max_length": 64, **options},
        )
        student = tiny_models.dense(tmp_path, tiny_models.SWAHILI, seed=1, positions=64)
        teacher = tiny_models.dense(tmp_path, tiny_models.ENGLISH, positions=64)
        return OTDistillationTrainer(model=student, args=args, train_dataset=tiny_models.bitext(), teacher=teacher)

    return make


@pytest.mark.parametrize("error", ERRORS, ids=["cuda", "cpu", "python"])
def test_a_step_without_memory_ends_in_one_message_with_numbers(trainer, monkeypatch, error):
    made, step = trainer(), OTDistillationTrainer.training_step

    def third_fails(self, *args, **options):
        if self.state.global_step == 2:
            raise error
        return step(self, *args, **options)

    monkeypatch.setattr(OTDistillationTrainer, "training_step", third_fails)
    with pytest.raises(OutOfMemoryError) as found:
        made.train()
    text = str(found.value)
    assert "step 3 of the training" in text and "\n" not in text
    assert "batch_size 4 with gradient_accumulation_steps 2 in place of 8 with 1 (fewer negatives for nce)" in text
    assert "max_length 32 in place of 64" in text and "--adapter lora" in text and "hf-optical plan" in text


def test_memory_that_the_optimizer_wants_is_explained_too(trainer, monkeypatch):
    made = trainer()

    def fails(*args, **options):
        raise torch.OutOfMemoryError(CUDA)

    monkeypatch.setattr(torch.optim.AdamW, "step", fails)
    with pytest.raises(OutOfMemoryError, match="step 1 of the training"):
        made.train()


def test_a_real_allocation_that_fails_is_recognised():
    with pytest.raises(OutOfMemoryError, match="here: memory ran out"), explained(lambda: "here", lambda: ["less"]):
        torch.empty(2**60)
    with pytest.raises(OutOfMemoryError, match="Unable to allocate"), explained(lambda: "here", lambda: ["less"]):
        np.empty(2**55)


def test_other_errors_pass():
    for error in (RuntimeError("shapes cannot be multiplied"), ValueError("out of memory"), KeyError("x")):
        assert not is_out_of_memory(error)
        with pytest.raises(type(error)), explained(lambda: "", list):
            raise error


def test_remedies_follow_the_run(trainer, tmp_path):
    made = trainer(per_device_train_batch_size=1, max_length=16)
    assert training_remedies(made.args, made.model, adapters=True) == [
        "a smaller student (fewer layers), or a larger machine"
    ]


def test_remedies_read_weighted_terms_and_lengths_by_task(trainer):
    made = trainer()
    made.args.objective, made.args.max_length = "ot+0.5*nce", {"query": 40, "document": 80}
    found = training_remedies(made.args, made.model, adapters=False)
    assert "fewer negatives" in found[0] and found[1] == "max_length 40 in place of 80"
    made.args.objective = "ot+rank"
    assert "fewer negatives" not in training_remedies(made.args, made.model, adapters=False)[0]


def test_a_recipe_ends_with_a_message_and_code_two(capsys, monkeypatch):
    from dataclasses import dataclass

    @dataclass
    class Options:
        seed: int = 0

    def main(config):
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: 8 bytes")

    with pytest.raises(SystemExit) as stop:
        run(main, Options, [])
    error = capsys.readouterr().err
    assert (
        stop.value.code == 2 and error.startswith("error: ") and error.count("\n") == 1 and "hf-optical plan" in error
    )

    def defect(config):
        raise RuntimeError("a defect")

    with pytest.raises(RuntimeError, match="a defect"):
        run(defect, Options, [])
