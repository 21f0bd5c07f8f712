"""Lower layers that a training leaves as they are."""

import pytest
import torch

from hf_optical import OTDistillationTrainer
from hf_optical.encoders.parts import transformer_of
from hf_optical.errors import InputError
from hf_optical.training.arguments import OTDistillationTrainingArguments
from hf_optical.training.frozen_layers import frozen_layers, layers_of
from tests.tiny_models import ENGLISH, SWAHILI, bitext, dense


@pytest.fixture
def student(tmp_path):
    return dense(tmp_path / "student", SWAHILI, seed=1, layers=3)


def test_only_what_lies_above_is_trained_and_can_be_trained_again(student, tmp_path):
    teacher = dense(tmp_path / "teacher", ENGLISH, seed=0)
    before = {name: value.clone() for name, value in student.state_dict().items()}
    args = OTDistillationTrainingArguments(
        tmp_path / "run", freeze_layers=2, max_steps=3, learning_rate=1e-2, use_cpu=True, report_to="none",
        save_strategy="no",
    )  # fmt: skip
    OTDistillationTrainer(student, args, train_dataset=bitext(), teacher=teacher).train()
    changed = {name for name, value in student.state_dict().items() if not torch.equal(value, before[name])}
    assert changed and all(".layer.2." in name for name in changed)
    assert all(weight.requires_grad for weight in student.parameters())


def test_as_many_layers_as_there_are_cannot_be_frozen(student):
    assert len(layers_of(transformer_of(student).model)) == 3
    with pytest.raises(InputError, match="give 1 to 2"), frozen_layers(student, 3):
        pass
    with frozen_layers(student, 0):
        assert all(weight.requires_grad for weight in student.parameters())


def test_a_negative_number_is_refused(tmp_path):
    with pytest.raises(InputError, match="freeze_layers"):
        OTDistillationTrainingArguments(tmp_path / "run", freeze_layers=-1, use_cpu=True)
