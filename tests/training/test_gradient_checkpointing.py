"""Activations computed again in the backward pass: the same weights come out of a training with the transport term."""

from __future__ import annotations

import pytest
import tiny_models
import torch
from tiny_runs import arguments

from hf_optical import OTDistillationTrainer


@pytest.mark.parametrize("objective", ["ot", "ot+nce+source"])
def test_checkpointed_activations_change_nothing(tmp_path, objective):
    teacher = tiny_models.dense(tmp_path, [*tiny_models.ENGLISH, *tiny_models.SWAHILI])
    trained, recomputed = {}, []
    for checkpointing in (False, True):
        student = tiny_models.dense(tmp_path, [*tiny_models.ENGLISH, *tiny_models.SWAHILI], layers=2, seed=1)
        layer = student[0].auto_model.encoder.layer[0]
        calls = []
        layer.attention.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        options = {"objective": objective, "temperature": 0.05, "optim": "sgd", "gradient_checkpointing": checkpointing}
        OTDistillationTrainer(
            model=student,
            teacher=teacher,
            args=arguments(tmp_path / str(checkpointing), **options),
            train_dataset={"bitext/eng_Latn-swh_Latn": tiny_models.bitext(16)},
        ).train()
        trained[checkpointing] = {name: value.detach().clone() for name, value in student.state_dict().items()}
        recomputed.append(len(calls))
    assert recomputed[1] > recomputed[0], "nothing was computed again"
    for name, value in trained[False].items():
        torch.testing.assert_close(trained[True][name], value, atol=1e-6, rtol=0, msg=name)
