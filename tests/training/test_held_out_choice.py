"""The step that held-out pairs prefer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny_models
import torch
from tiny_runs import arguments
from torchrun import ranks_of, torchrun

from hf_optical import OTDistillationTrainer
from hf_optical.errors import InputError
from hf_optical.evaluation.held_out import HeldOutScore
from hf_optical.training.held_out_choice import HeldOutChoice, validation_interval


def weights(model) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


class Judge:
    """Gives prepared values, and remembers the student at each of them."""

    def __init__(self, values):
        self.values, self.seen = list(values), []

    def __call__(self, model):
        self.seen.append(weights(model))
        value = self.values[min(len(self.seen), len(self.values)) - 1]
        return HeldOutScore(value, {"sentences": value})


def train(tmp_path, values, steps=12, every=2, patience=3, name="out", start_share=0.0, **options):
    teacher = tiny_models.dense(tmp_path)
    student = tiny_models.dense(tmp_path, tiny_models.SWAHILI, seed=1)
    judge = Judge(values)
    folder = tmp_path / name / "held_out"
    choice = HeldOutChoice(judge, folder, every=every, patience=patience, start_share=start_share)
    args = arguments(tmp_path / name, max_steps=steps, **options)
    rows = tiny_models.bitext(24)
    trainer = OTDistillationTrainer(student, args, rows, teacher=teacher, callbacks=[choice])
    trainer.train()
    return student, judge, choice, trainer


def same(one, other) -> bool:
    return all(torch.equal(value, other[name]) for name, value in one.items())


def test_the_best_step_is_kept_and_training_stops(tmp_path):
    student, judge, choice, trainer = train(tmp_path, [0.1, 0.3, 0.5, 0.4, 0.5, 0.2, 0.9])
    assert trainer.state.global_step == 10 and choice.stopped_early  # three validations after step 4 were no better
    assert choice.best.step == 4 and same(weights(student), judge.seen[2])  # a tie goes to the earlier
    assert not same(judge.seen[2], judge.seen[5])
    assert [reading["step"] for reading in choice.summary()["curve"]] == [0, 2, 4, 6, 8, 10]
    assert "step 4 is kept" in choice.verdict() and "stopped at step 10" in choice.verdict()


def test_where_nothing_is_better_the_untrained_student_is_kept_and_that_is_said(tmp_path):
    student, judge, choice, _ = train(tmp_path, [0.5, 0.4, 0.3, 0.2, 0.1])
    assert choice.best.step == 0 and same(weights(student), judge.seen[0])
    assert "no step was better than the untrained student" in choice.verdict()


@pytest.mark.parametrize("rows", ["all", "used", "none"])
def test_training_ends_with_the_mean_of_the_best_step_and_the_untrained_student(tmp_path, rows):
    values = [0.1, 0.3, 0.5, 0.4, 0.4, 0.4, 0.45]  # the last is the mean's
    student, judge, choice, _ = train(tmp_path, values, start_share=0.25, train_embeddings=rows)
    start, best = judge.seen[0], judge.seen[2]
    assert choice.best.step == 4 and len(judge.seen) == 7 and not same(start, best)
    for name, weight in weights(student).items():
        torch.testing.assert_close(weight, 0.25 * start[name] + 0.75 * best[name], msg=name)
    assert same(weights(student), judge.seen[6]), "what was validated as the mean is not what is left"
    assert choice.summary()["mean"] == {"value": 0.45, "parts": {"sentences": 0.45}, "taken": True}
    assert choice.summary()["start_share"] == 0.25
    assert choice.summary()["best"] == 0.5 and [reading.step for reading in choice.readings] == [0, 2, 4, 6, 8, 10]
    assert "Its weights are averaged with the untrained student's, which count for 25%: 0.450" in choice.verdict()


@pytest.mark.parametrize(("value", "taken"), [(0.05, False), (0.39, False), (0.41, True)])
def test_a_mean_that_scores_less_than_the_mean_of_both_scores_is_not_taken(tmp_path, value, taken):
    """A student that read nothing before is spoiled by its start, though better than it; .4 is .75 x .5 + .25 x .1."""
    values = [0.1, 0.3, 0.5, 0.4, 0.4, 0.4, value]
    student, judge, choice, _ = train(tmp_path, values, start_share=0.25)
    assert same(weights(student), judge.seen[6 if taken else 2]) and choice.summary()["mean"]["taken"] == taken
    assert f"Its weights are {'' if taken else 'not '}averaged" in choice.verdict()


def test_no_mean_is_made_where_the_untrained_student_is_kept(tmp_path):
    student, judge, choice, _ = train(tmp_path, [0.5, 0.4, 0.3, 0.2, 0.1], start_share=0.5)
    assert same(weights(student), judge.seen[0]) and choice.summary()["mean"] is None and len(judge.seen) == 4


@pytest.mark.parametrize("share", [-0.1, 1.0])
def test_a_share_of_no_sense(tmp_path, share):
    with pytest.raises(InputError, match="start_share"):
        HeldOutChoice(Judge([0.1]), tmp_path, every=1, start_share=share)


def test_without_patience_all_steps_are_taken_and_the_last_is_validated(tmp_path):
    student, judge, choice, trainer = train(tmp_path, [0.5, 0.4, 0.4, 0.9], steps=5, patience=0)
    assert trainer.state.global_step == 5 and not choice.stopped_early
    assert [reading.step for reading in choice.readings] == [0, 2, 4, 5]
    assert same(weights(student), judge.seen[3])


def test_validation_changes_nothing_of_the_training(tmp_path):
    _, judge, _, _ = train(tmp_path, [0.1 * i for i in range(9)], steps=6, every=1)
    _, rare, _, _ = train(tmp_path, [0.1, 0.2], steps=6, every=6, name="rare")
    assert same(judge.seen[6], rare.seen[1])


@pytest.mark.parametrize("rows", ["all", "used", "none"])
def test_only_trained_weights_are_kept_on_disk(tmp_path, rows):
    from safetensors.torch import load_file

    student, judge, choice, _ = train(tmp_path, [0.1, 0.3, 0.2, 0.2, 0.2], train_embeddings=rows)
    kept = load_file(tmp_path / "out" / "held_out" / "best.safetensors")
    has_table = any("word_embeddings" in name for name in kept)
    assert has_table == (rows != "none")
    assert choice.best.step == 2 and same(weights(student), judge.seen[1])


@pytest.mark.parametrize(
    ("killed_after", "start_share"),
    [(3, 0.5), (7, 0.0), (11, 0.5)],
    ids=["before-the-best", "after-the-best", "after-the-stop"],
)
def test_a_resumed_training_ends_like_a_whole_one(tmp_path, killed_after, start_share):
    """The values depend on the weights alone, as real ones do."""

    def run(name, stop=None, resume=None):
        teacher = tiny_models.dense(tmp_path)
        student = tiny_models.dense(tmp_path, tiny_models.SWAHILI, seed=1)

        def score(model):
            total = sum(float(value.double().abs().sum()) for value in model.state_dict().values())
            value = 1 / (1 + abs(total - goal[0])) if goal else total
            return HeldOutScore(value, {})

        class Killer(HeldOutChoice):
            def on_step_end(self, args, state, control, **options):
                super().on_step_end(args, state, control, **options)
                if stop is not None and state.global_step == stop:
                    raise KeyboardInterrupt

        choice = Killer(score, tmp_path / name / "held_out", every=2, patience=3, start_share=start_share)
        args = arguments(tmp_path / name, max_steps=16, save_strategy="steps", save_steps=1)
        trainer = OTDistillationTrainer(student, args, tiny_models.bitext(24), teacher=teacher, callbacks=[choice])
        try:
            trainer.train(resume_from_checkpoint=resume)
        except KeyboardInterrupt:
            return None, choice
        return weights(student), choice

    goal: list[float] = []
    _, probe = run("probe")
    goal.append(next(reading.value for reading in probe.readings if reading.step == 4))
    whole, choice = run("whole")
    assert choice.best.step == 4 and choice.stopped_early
    run("killed", stop=min(killed_after, 10))
    again, resumed = run("killed", resume=str(tmp_path / "killed" / f"checkpoint-{min(killed_after, 10) - 1}"))
    assert same(whole, again)
    assert [r.step for r in resumed.readings] == [r.step for r in choice.readings]
    assert resumed.best == choice.best and resumed.mean == choice.mean
    assert (choice.mean is not None) == bool(start_share)


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("best.safetensors", "validations of the checkpoint are missing"),
        ("start.safetensors", "without keeping the untrained student's weights.*resume with a share of 0"),
    ],
)
def test_a_checkpoint_without_its_validations_stops(tmp_path, missing, said):
    _, _, _, trainer = train(tmp_path, [0.1, 0.2], steps=2, start_share=0.5, save_strategy="steps", save_steps=1)
    assert json.loads((tmp_path / "out" / "held_out" / "curve.json").read_text())["best"]["step"] == 2
    (tmp_path / "out" / "held_out" / missing).unlink()
    with pytest.raises(InputError, match=said):
        trainer.train(resume_from_checkpoint=str(tmp_path / "out" / "checkpoint-1"))


def test_bad_interval(tmp_path):
    with pytest.raises(InputError, match="every"):
        HeldOutChoice(Judge([0.1]), tmp_path, every=0)
    assert validation_interval(1) == 10


@pytest.mark.slow
def test_two_processes_keep_the_same_step_as_one(tmp_path):
    found = {}
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        for name, words, seed in (("student", tiny_models.SWAHILI, 1), ("teacher", tiny_models.ENGLISH, 0)):
            tiny_models.dense(folder, words, seed=seed).save_pretrained(str(folder / name))
        torchrun(Path(__file__).with_name("held_out_processes.py"), folder, processes=processes)
        found[processes] = ranks_of(folder, processes)
    assert [(rank["steps"], rank["asked"], rank["best"]) for rank in found[2]] == [(4, 6, 2), (4, 0, 2)]
    assert all(rank["mean"] == 0.35 for rank in (*found[1], *found[2]))
    assert found[1][0]["best"] == 2
    for name, value in found[2][0]["weights"].items():
        assert torch.equal(value, found[2][1]["weights"][name]), name
        torch.testing.assert_close(value, found[1][0]["weights"][name], atol=1e-5, rtol=0, msg=name)
