"""Every alarm of the watch is provoked by a training that deserves it; a sound one has none."""

from __future__ import annotations

import pytest
import tiny_models
import torch
from torch import nn

from hf_optical import OTDistillationTrainer, OTDistillationTrainingArguments
from hf_optical.errors import InputError, NonFiniteError
from hf_optical.training.monitor import MonitorLimits, TrainingAlarm, TrainingMonitor
from hf_optical.transport import IPOT, Sinkhorn

NAME = "bitext/eng_Latn-swh_Latn"


@pytest.fixture
def models(tmp_path):
    return tiny_models.dense(tmp_path, tiny_models.SWAHILI, seed=1), tiny_models.dense(tmp_path, tiny_models.ENGLISH)


def train(models, folder, watch, loss=None, steps=12, **options):
    student, teacher = models
    rows = tiny_models.bitext(24)
    args = OTDistillationTrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=8,
        max_steps=steps,
        learning_rate=5e-2,
        report_to="none",
        save_strategy="no",
        use_cpu=True,
        disable_tqdm=True,
        logging_steps=1,
        gather_across_devices=False,
        **options,
    )
    trainer = OTDistillationTrainer(
        model=student, teacher=teacher, args=args, train_dataset={NAME: rows}, loss=loss, callbacks=[watch]
    )
    trainer.train()
    return watch


def watching(models, **options):
    rows = tiny_models.bitext(24)
    return TrainingMonitor(models[1], rows["source"], rows["translation"], **options)


class ToOnePoint(nn.Module):
    """Draws all vectors together."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, features, labels=None):
        vectors = self.model(features[1])["sentence_embedding"]
        return (vectors - torch.ones_like(vectors) / vectors.shape[1] ** 0.5).square().sum()


class AwayFromItsPair(nn.Module):
    """Falls while every text goes to where another one's English is."""

    def __init__(self, model, teacher):
        super().__init__()
        self.model, self.teacher = model, teacher

    def forward(self, features, labels=None):
        with torch.no_grad():
            english = self.teacher(dict(features[0]))["sentence_embedding"]
        mine = self.model(features[1])["sentence_embedding"]
        return 1 - (mine * english.roll(1, dims=0)).sum(-1).mean()


def test_a_sound_training_has_readings_and_no_alarm(models, tmp_path):
    options = {"objective": "ot+nce", "temperature": 0.05, "steps": 6}
    watch = train(models, tmp_path, watching(models, solver=IPOT()), **options)
    summary = watch.summary()
    assert summary["alarms"] == []
    assert [reading["step"] for reading in summary["readings"]] == [0, 1, 2, 3, 4, 5, 6]
    assert all(0 <= reading["plan"] <= 1 for reading in summary["readings"])
    assert summary["readings"][-1]["retrieval"] > summary["readings"][0]["retrieval"]


def test_collapse(models, tmp_path):
    watch = train(
        models, tmp_path, watching(models, limits=MonitorLimits(over_teacher=0.01)), loss=ToOnePoint(models[0])
    )
    (alarm,) = watch.alarms  # once, however often it is read
    assert alarm.kind == "collapse" and "the teacher" in alarm.found and "learning rate" in alarm.remedy


def test_stopped_by_an_alarm(models, tmp_path):
    limits = MonitorLimits(over_teacher=0.01)
    with pytest.raises(TrainingAlarm, match="collapse: the vectors"):
        train(models, tmp_path, watching(models, limits=limits, on_alarm="stop"), loss=ToOnePoint(models[0]))


@pytest.mark.parametrize(("epsilon", "kind"), [(100.0, "uniform plan"), (0.001, "hard plan")])
def test_plans_that_say_nothing_or_too_much(models, tmp_path, epsilon, kind):
    watch = watching(models, solver=Sinkhorn(epsilon=epsilon, iterations=2000 if epsilon < 1 else 100))
    limits = MonitorLimits(sharp_plan=0.8)  # words that occur twice share their mass, however small epsilon is
    watch.limits = limits
    train(models, tmp_path, watch, objective="ot", steps=1)
    assert kind in [alarm.kind for alarm in watch.alarms]


def test_a_loss_that_falls_while_retrieval_falls(models, tmp_path):
    student, teacher = models
    train(models, tmp_path, watching(models), objective="nce", temperature=0.05, steps=40)
    watch = watching(models)
    train((student, teacher), tmp_path, watch, loss=AwayFromItsPair(student, teacher), steps=40)
    (alarm,) = [alarm for alarm in watch.alarms if alarm.kind == "retrieval falls"]
    assert "find their English" in alarm.found and "add nce" in alarm.remedy


def test_vectors_that_are_not_finite_stop(models, tmp_path):
    watch = watching(models)
    with torch.no_grad():
        next(models[0].parameters()).fill_(float("nan"))
    with pytest.raises(NonFiniteError, match="step 0"):
        train(models, tmp_path, watch, objective="nce")


def test_too_few_pairs_are_refused(models):
    with pytest.raises(InputError, match="at least 16"):
        TrainingMonitor(models[1], ["a"] * 3, ["b"] * 3)
    with pytest.raises(InputError, match="on_alarm"):
        TrainingMonitor(models[1], ["a"] * 16, ["b"] * 16, on_alarm="shout")


def test_one_low_reading_is_no_falling_retrieval(models):
    from hf_optical.training.monitor import _Reading

    watch = watching(models)
    fields = _Reading.__dataclass_fields__

    def reading(step, loss, retrieval):
        known = {"step": step, "loss": loss, "retrieval": retrieval}
        return _Reading(**{name: known.get(name) for name in fields})

    drop = 2 * watch.limits.retrieval_drop
    watch.readings = [reading(0, 1.0, 0.9), reading(1, 0.8, 0.9 - drop)]
    assert watch._falling(watch.readings[-1]) is None
    watch.readings.append(reading(2, 0.7, 0.9 - drop))
    assert watch._falling(watch.readings[-1]).kind == "retrieval falls"
