"""A step that is not finite is skipped where the optimizer runs, and reported at the next one, its rows named."""

import json

import pytest
import tiny_models
import torch
from tiny_runs import arguments
from transformers import TrainerCallback

from hf_optical import OTDistillationTrainer
from hf_optical.errors import NonFiniteError
from hf_optical.training.delayed_checks import DelayedChecks

NAME = "bitext/eng_Latn-swh_Latn"


def trainer(folder, *, bad_step=None, what="teacher", **options):
    """A training whose teacher's vectors, or gradients, are NaN at one step."""
    folder.mkdir(parents=True)
    teacher, student = tiny_models.dense(folder, seed=1), tiny_models.dense(folder, tiny_models.SWAHILI)
    args = arguments(folder / "out", optim="adamw_torch_fused", **options)
    made = OTDistillationTrainer(model=student, teacher=teacher, args=args, train_dataset={NAME: tiny_models.bitext()})
    if bad_step is not None and what == "teacher":

        def broken(model, inputs, output):
            # Read again after the step was not taken, the same batch is as bad.
            if made.state.global_step == bad_step - 1:
                output["token_embeddings"][1] = float("nan")
                output["sentence_embedding"][1] = float("nan")
            return output

        teacher.register_forward_hook(broken)
    if bad_step is not None and what == "gradient":
        weight = next(weight for weight in student.parameters() if weight.requires_grad)
        weight.register_hook(lambda grad: grad * (float("nan") if made.state.global_step == bad_step - 1 else 1))
    return made


def weights(made):
    return {name: value.detach().clone() for name, value in made.model.state_dict().items()}


@pytest.mark.parametrize("accumulation", [1, 2])
def test_sound_steps_are_the_same_bit_for_bit(tmp_path, accumulation):
    options = {"gradient_accumulation_steps": accumulation, "max_grad_norm": 0.5}
    one, other = (trainer(tmp_path / str(late), delayed_checks=late, **options) for late in (False, True))
    one.train()
    other.train()
    assert other._delayed is not None and other._can_delay() and one._delayed is None
    assert all(torch.equal(value, weights(other)[name]) for name, value in weights(one).items())


@pytest.mark.parametrize(
    ("what", "message"), [("teacher", "teacher's vectors are not finite in 1 row"), ("gradient", "norm is nan")]
)
@pytest.mark.parametrize("step", [3, 6])
@pytest.mark.parametrize("accumulation", [1, 2])
def test_a_bad_step_is_not_taken_and_named(tmp_path, what, message, step, accumulation):
    # The transport looks for itself on a CPU, and not on a GPU: the terms here are those that never look.
    options = {"gradient_accumulation_steps": accumulation, "logging_steps": 100, "objective": "nce+mse"}
    sound = trainer(tmp_path / "sound", max_steps=6, delayed_checks=True, **options)
    seen = {}

    class Keep(TrainerCallback):
        def on_step_end(self, args, state, control, **more):
            seen[state.global_step] = weights(sound)

    sound.add_callback(Keep())
    sound.train()
    made = trainer(tmp_path / "bad", bad_step=step, what=what, delayed_checks=True, **options)
    with pytest.raises(NonFiniteError, match=rf"step {step}.*{message}"):
        made.train()
    assert made._can_delay()
    assert all(torch.equal(value, weights(made)[name]) for name, value in seen[step - 1].items())


def test_no_checkpoint_is_written_of_a_bad_step(tmp_path):
    made = trainer(
        tmp_path / "a", bad_step=4, what="gradient", delayed_checks=True, save_strategy="steps", save_steps=1
    )
    with pytest.raises(NonFiniteError, match="step 4"):
        made.train()
    assert sorted(path.name for path in (tmp_path / "a" / "out").glob("checkpoint-*")) == [
        f"checkpoint-{number}" for number in (1, 2, 3)
    ]
    assert json.loads((tmp_path / "a" / "out" / "checkpoint-3" / "trainer_state.json").read_text())["global_step"] == 3


def test_what_cannot_skip_on_the_device_is_checked_in_every_step(tmp_path):
    made = trainer(tmp_path / "a", bad_step=2, what="gradient", delayed_checks=True)
    made.args.optim = "adamw_torch"
    with pytest.raises(NonFiniteError, match="step 2: the gradient's norm is nan; no step was taken"):
        made.train()
    assert not made._can_delay()


def test_an_infinite_loss_with_a_finite_gradient_is_poisoned():
    weight = torch.nn.Parameter(torch.tensor(1.0))
    (grad,) = torch.autograd.grad(DelayedChecks.poisoned(weight + float("inf")), weight)
    assert torch.isnan(grad)
