"""Trainings with a teacher cache end where those with the teacher end: dense, late, adapters, accumulation, resume."""

from __future__ import annotations

import json

import pytest
import tiny_models
import torch
from datasets import Dataset
from torchrun import PLAIN_STEPS, ranks_of, torchrun

from hf_optical.adapters import LanguageAdapters
from hf_optical.batching import LengthGroupedBatchSampler
from hf_optical.encoders.feature_keys import CACHED_ROWS
from hf_optical.errors import InputError
from hf_optical.losses import OTDistillationLoss
from hf_optical.teacher_cache import CachedTeacher
from hf_optical.teacher_cache.training import texts_to_read
from hf_optical.training.arguments import OTDistillationTrainingArguments
from hf_optical.training.trainer import MultiVectorOTDistillationTrainer, OTDistillationTrainer

NAME = "bitext/eng_Latn-swh_Latn"
ROWS = tiny_models.bitext(24)


def trainer_of(folder, kind="dense", *, data=None, adapter=False, **options):
    """A trainer with the same student whatever the teacher."""
    student = getattr(tiny_models, kind)(folder, tiny_models.SWAHILI, seed=5)
    if adapter:
        torch.manual_seed(0)
        LanguageAdapters(student).add("swh_Latn", r=2)
    host = MultiVectorOTDistillationTrainer if kind == "late" else OTDistillationTrainer
    steps = {name: options.pop(name) for name in list(options) if not name.startswith("teacher")}
    args = OTDistillationTrainingArguments(
        **{
            "output_dir": str(folder / "out"),
            "per_device_train_batch_size": 4,
            "learning_rate": 1e-2,
            "max_steps": 6,
            "objective": "ot+nce",
            **PLAIN_STEPS,
            **steps,
        }
    )
    return host(model=student, args=args, train_dataset=data or {NAME: ROWS}, **options)


def trained(trainer, **options):
    trainer.train(**options)
    return {name: value.clone() for name, value in trainer.model.state_dict().items()}


def furthest(one, other):
    return max(float((one[name] - other[name]).abs().max()) for name in one)


class Untouchable(torch.nn.Module):
    """In place of a teacher's body: nobody may ask it."""

    def forward(self, *args, **options):
        raise AssertionError("the teacher was asked")


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("dense", {}),
        ("late", {"objective": "ot"}),
        ("dense", {"adapter": True, "learning_rate": 0.3}),
        ("dense", {"gradient_accumulation_steps": 2, "objective": "ot+mse+0.5*source+self_nce"}),
    ],
    ids=["dense", "late", "adapter", "accumulation"],
)
def test_a_training_ends_where_the_teachers_own_ends(tmp_path, kind, options):
    teacher = getattr(tiny_models, kind)(tmp_path, tiny_models.ENGLISH)
    right = trained(trainer_of(tmp_path, kind, teacher=teacher, **options))
    start = trainer_of(tmp_path, kind, teacher=teacher, **options).model.state_dict()
    moved = furthest(right, start)
    for dtype, tolerance in (("float32", 1e-4), ("float16", 1e-2)):
        cache = {"teacher": teacher, "teacher_cache": tmp_path / dtype, "teacher_cache_dtype": dtype}
        trainer = trainer_of(tmp_path, kind, **cache, **options)
        assert furthest(trained(trainer), right) < tolerance * moved
        assert len(trainer.teacher.reader) == len(set(ROWS["source"]))
    # Now without the teacher's weights, from the folder alone.
    alone = trainer_of(tmp_path, kind, teacher_cache=tmp_path / "float16", **options)
    assert alone.teacher.online is None and not isinstance(alone.teacher, type(teacher))
    again = trained(alone)
    cached = trained(trainer_of(tmp_path, kind, teacher=CachedTeacher(tmp_path / "float16"), **options))
    assert all(again[name].equal(cached[name]) for name in again) and moved > 1e-3


def test_the_teacher_is_not_asked_once_the_cache_is_filled(tmp_path):
    teacher = tiny_models.dense(tmp_path, tiny_models.ENGLISH)
    trainer = trainer_of(tmp_path, teacher=teacher, teacher_cache=tmp_path / "cache")
    trainer.teacher.fill(ROWS["source"], show_progress=False)
    teacher[0].auto_model = Untouchable()
    trainer.train()
    batch = trainer.data_collator([{**ROWS[0], "dataset_name": NAME}])
    assert batch[f"source_{CACHED_ROWS}"].shape == (1,)
    loss = trainer.loss[NAME]
    assert isinstance(loss, OTDistillationLoss) and loss.teacher is trainer.teacher
    assert not any("teacher" in name for name, _ in trainer.model.named_parameters())


def test_only_what_will_be_read_is_kept(tmp_path):
    teacher = tiny_models.dense(tmp_path, tiny_models.ENGLISH)
    rows = tiny_models.bitext(200)
    seen = []

    def watched(trainer):
        collate = trainer.data_collator._text
        trainer.data_collator._text = lambda row, column, name: (
            (seen.append(row["source"]) if column == "source" else None) or collate(row, column, name)
        )
        return trainer

    for sampler in ({}, {"batch_sampler": LengthGroupedBatchSampler}):
        seen.clear()
        trainer = watched(
            trainer_of(
                tmp_path,
                data={NAME: rows},
                teacher=teacher,
                teacher_cache=tmp_path / f"cache{len(sampler)}",
                max_steps=3,
                gradient_accumulation_steps=2,
                **sampler,
            )
        )
        wanted = set(texts_to_read(trainer))
        trainer.train()
        # The host reads a batch ahead, which is not trained on and need not be kept.
        assert wanted <= set(seen) and len(wanted) == len(trainer.teacher.reader) <= 24 < len(set(rows["source"]))
        assert set(seen[:24]) == wanted


def test_a_resumed_training_ends_like_a_whole_one_and_knows_its_cache(tmp_path, caplog):
    teacher = tiny_models.dense(tmp_path, tiny_models.ENGLISH)
    cache = {"teacher": teacher, "teacher_cache": tmp_path / "cache"}
    whole = trained(trainer_of(tmp_path / "a", **cache))
    saving = {"save_strategy": "steps", "save_steps": 3, "optim": "adamw_torch"}
    trained(trainer_of(tmp_path / "b", **cache, **saving))
    checkpoint = tmp_path / "b" / "out" / "checkpoint-3"
    noted = json.loads((checkpoint / "teacher_cache.json").read_text())
    whole = trained(trainer_of(tmp_path / "c", **cache, **saving))
    resumed = trained(trainer_of(tmp_path / "d", **cache, **saving), resume_from_checkpoint=str(checkpoint))
    assert all(resumed[name].equal(whole[name]) for name in whole)
    assert noted["digest"] == CachedTeacher(tmp_path / "cache").identity.digest

    other = {"teacher": teacher, "teacher_cache": tmp_path / "other", "teacher_cache_dtype": "int8"}
    with pytest.raises(InputError, match="trained with the teacher cache"):
        trainer_of(tmp_path / "e", **other, **saving).train(resume_from_checkpoint=str(checkpoint))
    caplog.clear()
    trainer_of(tmp_path / "f", teacher=teacher, **saving).train(resume_from_checkpoint=str(checkpoint))
    assert "resumes with the teacher itself" in caplog.text


def test_words_are_read_by_the_teacher_itself(tmp_path):
    teacher = tiny_models.dense(tmp_path, tiny_models.ENGLISH)
    lexicon = Dataset.from_dict({"source": tiny_models.ENGLISH[:8], "translation": tiny_models.SWAHILI[:8]})
    data = {NAME: ROWS, "lexicon/eng_Latn-swh_Latn": lexicon}
    options = {"data": data, "lexical_layer": 1, "max_steps": 8}
    right = trained(trainer_of(tmp_path, teacher=teacher, **options))
    trainer = trainer_of(tmp_path, teacher=teacher, teacher_cache=tmp_path / "cache", **options)
    assert furthest(trained(trainer), right) < 2e-3
    assert trainer.loss["lexicon/eng_Latn-swh_Latn"].teacher is teacher
    assert not set(tiny_models.ENGLISH[:8]) & set(texts_to_read(trainer))


def test_evaluation_data_is_kept_where_it_is_read(tmp_path):
    teacher = tiny_models.dense(tmp_path, tiny_models.ENGLISH)
    held_out = tiny_models.bitext(6, seed=9)
    options = {"teacher": teacher, "teacher_cache": tmp_path / "cache"}
    student = tiny_models.dense(tmp_path, tiny_models.SWAHILI, seed=5)
    args = OTDistillationTrainingArguments(
        output_dir=str(tmp_path / "out"), eval_strategy="steps", eval_steps=2, max_steps=2, **PLAIN_STEPS
    )
    trainer = OTDistillationTrainer(student, args, ROWS, held_out, **options)
    assert set(held_out["source"]) <= set(texts_to_read(trainer))
    trainer.train()
    assert any("eval_loss" in entry for entry in trainer.state.log_history)


def test_bitexts_under_two_prompts_need_two_caches(tmp_path):
    teacher = tiny_models.dense(tmp_path, tiny_models.ENGLISH)
    data = {NAME: ROWS, "bitext/eng_Latn-som_Latn": ROWS}
    prompts = {NAME: {"source": "the red "}, "bitext/eng_Latn-som_Latn": {"source": "a dog "}}
    with pytest.raises(InputError, match="2 prompts"):
        trainer_of(tmp_path, data=data, prompts=prompts, teacher=teacher, teacher_cache=tmp_path / "cache")
    one = {name: {"source": "the red "} for name in data}
    trainer = trainer_of(tmp_path, data=data, prompts=one, teacher=teacher, teacher_cache=tmp_path / "cache")
    assert trainer.teacher.identity.prompt == "the red "
    trainer.train()


def test_two_caches_at_once_are_refused(tmp_path):
    teacher = tiny_models.dense(tmp_path, tiny_models.ENGLISH)
    CachedTeacher.for_teacher(teacher, tmp_path / "cache")
    with pytest.raises(InputError, match="two caches"):
        trainer_of(tmp_path, teacher=CachedTeacher(tmp_path / "cache"), teacher_cache=tmp_path / "cache")


def test_two_processes_read_one_cache(tmp_path):
    from pathlib import Path

    torchrun(Path(__file__).with_name("cached_processes.py"), tmp_path)
    first, second = ranks_of(tmp_path)
    assert all(first["cached"][name].equal(value) for name, value in second["cached"].items())
    assert furthest(first["cached"], first["online"]) < 2e-3 and furthest(first["online"], first["start"]) > 1e-3
    assert first["texts"] == second["texts"] == len(set(tiny_models.bitext(32)["source"]))
    assert first["asked"] == second["asked"] == 0
