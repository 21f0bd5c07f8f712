"""The share of the untrained student in the target of the ranking term."""

from __future__ import annotations

import pytest
import tiny_models
import torch
from datasets import Dataset
from tiny_runs import arguments

from hf_optical import OTDistillationLoss, OTDistillationTrainer
from hf_optical.adapters import LanguageAdapters
from hf_optical.encoders.copies import is_copy
from hf_optical.errors import InputError
from hf_optical.losses.anchor import anchored_target
from hf_optical.publishing.trim import trim
from hf_optical.training.anchor_choice import SHARE, chosen_anchor
from hf_optical.training.losses_by_kind import anchor_of, fill_banks

BOTH = [*tiny_models.ENGLISH, *tiny_models.SWAHILI]
NAME = "bitext/eng_Latn-swh_Latn"


@pytest.fixture
def models(tmp_path):
    """A teacher that reads both languages, and a copy of it."""
    return tiny_models.dense(tmp_path, BOTH), tiny_models.dense(tmp_path, BOTH)


def features(student, teacher, rows):
    return [teacher.preprocess(rows["source"][:]), student.preprocess(rows["translation"][:])]


def test_the_target_lies_between_both_whatever_their_lengths():
    teacher, own = torch.randn(5, 4), torch.randn(5, 4)
    assert torch.allclose(anchored_target(teacher, own, 0), torch.nn.functional.normalize(teacher, dim=-1))
    middle = anchored_target(3 * teacher, own / 7, 0.5)
    assert torch.allclose(middle.norm(dim=-1), torch.ones(5))
    cosines = [torch.cosine_similarity(middle, side) for side in (teacher, own)]
    assert torch.allclose(*cosines, atol=1e-6)


def test_the_untrained_student_pulls_the_ranking_towards_what_it_read(models):
    student, teacher = models
    rows = tiny_models.bitext(12)
    bank = torch.nn.functional.normalize(torch.randn(40, 16), dim=-1)

    def rank(anchor):
        loss = OTDistillationLoss(student, teacher, objective="rank", temperature=0.1, bank=bank, anchor=anchor)
        return loss(features(student, teacher, rows))["rank"].item()

    # At the first step the student still is its untrained copy: the nearer the target, the smaller the divergence.
    values = [rank(anchor) for anchor in (0.0, 0.3, 0.6, 0.9)]
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.05 * values[0]


def test_the_target_is_truncated_with_the_vectors_for_matryoshka(models):
    student, teacher = models
    rows = tiny_models.bitext(12)
    bank = torch.nn.functional.normalize(torch.randn(40, 16), dim=-1)

    def rank(anchor):
        options = {"temperature": 0.1, "bank": bank, "matryoshka_dims": [4, 16]}
        loss = OTDistillationLoss(student, teacher, objective="rank", anchor=anchor, **options)
        return loss(features(student, teacher, rows))["rank"].item()

    assert rank(0.999) < 0.02 * rank(0.0)  # at both widths the target is the student itself, as it still is


def test_a_copy_of_the_teacher_takes_no_memory_and_stays_untrained(models, tmp_path):
    student, teacher = models
    weight = next(student.parameters()).detach().clone()
    loss = OTDistillationLoss(student, teacher, objective="rank", temperature=0.1, anchor=0.5)
    shared = {parameter.data_ptr() for parameter in teacher.parameters()}
    assert all(parameter.data_ptr() in shared for parameter in loss.untrained.parameters())
    trainer = OTDistillationTrainer(
        model=student,
        teacher=teacher,
        loss=loss,
        args=arguments(tmp_path / "out", max_steps=3, anchor=0.5),
        train_dataset=tiny_models.bitext(12),
    )
    trainer.train()
    assert not torch.equal(next(student.parameters()), weight)
    assert torch.equal(next(loss.untrained.parameters()), weight)
    assert not loss.untrained.training and not any(p.requires_grad for p in loss.untrained.parameters())


def test_only_weights_that_differ_from_the_teachers_are_copied(tmp_path):
    student, teacher = tiny_models.dense(tmp_path, BOTH), tiny_models.dense(tmp_path, BOTH)
    with torch.no_grad():
        next(student.parameters()).add_(1)
    loss = OTDistillationLoss(student, teacher, objective="rank", temperature=0.1, anchor=0.5)
    shared = {parameter.data_ptr() for parameter in teacher.parameters()}
    own = [parameter for parameter in loss.untrained.parameters() if parameter.data_ptr() not in shared]
    assert len(own) == 1
    assert torch.equal(own[0], next(student.parameters()))
    assert own[0].data_ptr() != next(student.parameters()).data_ptr()


@pytest.mark.parametrize("stop", [3, 5])
def test_a_resumed_training_keeps_the_student_with_which_the_first_one_began(tmp_path, stop):
    def run(folder, resume=None):
        student, teacher = tiny_models.dense(tmp_path, BOTH), tiny_models.dense(tmp_path, BOTH)
        options = {"max_steps": 9, "save_strategy": "steps", "save_steps": stop, "objective": "ot+rank", "anchor": 0.5}
        trainer = OTDistillationTrainer(
            model=student,
            teacher=teacher,
            args=arguments(folder, **options),
            train_dataset={NAME: tiny_models.bitext(24)},
        )
        trainer.train(resume_from_checkpoint=resume)
        return student

    whole = run(tmp_path / "whole")
    checkpoint = tmp_path / "whole" / f"checkpoint-{stop}"
    assert not list(checkpoint.glob("loss_state*")), "the copy is made again and not saved"
    for name, value in run(tmp_path / "again", str(checkpoint)).state_dict().items():
        assert torch.equal(value, whole.state_dict()[name]), name


def pairs(lines):
    return Dataset.from_list([{"source": source, "translation": translation} for source, translation in lines])


@pytest.fixture
def understood():
    """Pairs in which the translation is the English itself."""
    return [(text, text) for text in dict.fromkeys(tiny_models.bitext(100)["source"])]


def test_the_share_is_chosen_by_how_well_the_untrained_student_reads(models, understood, caplog):
    student, teacher = models
    half = len(understood) // 2
    shifted = [(text, understood[place - 1][0]) for place, (text, _) in enumerate(understood)]
    with caplog.at_level("INFO"):
        assert chosen_anchor(student, teacher, pairs(understood)) == SHARE
    assert "finds the English of 100% of the translations first" in caplog.text
    assert chosen_anchor(student, teacher, tiny_models.bitext(100)) == 0
    assert chosen_anchor(student, teacher, pairs(understood[: half + 3] + shifted[half + 3 :])) == SHARE
    assert chosen_anchor(student, teacher, pairs(understood[: half - 3] + shifted[half - 3 :])) == 0
    assert chosen_anchor(student, teacher, pairs(understood[:1])) == 0


@pytest.mark.parametrize("read_last", [True, False])
def test_every_language_must_be_read(models, understood, read_last):
    student, teacher = models
    unread = pairs([(text, understood[place - 1][0]) for place, (text, _) in enumerate(understood)])
    sets = [unread, pairs(understood)] if read_last else [pairs(understood), unread]
    names = ("bitext/eng_Latn-swh_Latn", "bitext/eng_Latn-som_Latn")
    assert chosen_anchor(student, teacher, dict(zip(names, sets, strict=True))) == 0
    assert chosen_anchor(student, teacher, dict.fromkeys(names, pairs(understood))) == SHARE


def test_only_bitext_that_can_be_read_again_is_anchored(models, understood, caplog):
    student, teacher = models
    rows = pairs(understood)
    questions = Dataset.from_dict({"query": ["the goat"], "passage": ["a goat sleeps"]})
    with caplog.at_level("INFO"):
        assert chosen_anchor(student, teacher, {NAME: rows, "mono/eng_Latn": questions}) == 0
        assert chosen_anchor(student, teacher, {NAME: rows, "lexicon/eng_Latn-swh_Latn": rows}) == 0
        assert chosen_anchor(student, teacher, {NAME: rows.to_iterable_dataset()}) == 0
        assert chosen_anchor(student, teacher, rows.to_iterable_dataset()) == 0
    assert not caplog.messages  # nothing was tested
    LanguageAdapters(student).add("swh_Latn")
    assert chosen_anchor(student, teacher, rows) == 0


def test_only_a_copy_of_the_teacher_is_anchored(models, understood, tmp_path):
    student, teacher = models
    rows = pairs(understood)
    with torch.no_grad():
        student[0].auto_model.encoder.layer[0].output.dense.bias.add_(1e-3)
    assert not is_copy(student, teacher)
    assert chosen_anchor(student, teacher, rows) == 0
    assert not is_copy(tiny_models.dense(tmp_path, [*BOTH[:-1], "paka"]), teacher)
    assert not is_copy(tiny_models.dense(tmp_path, BOTH, layers=2), teacher)
    assert not is_copy(teacher, tiny_models.dense(tmp_path / "x", BOTH, seed=4))
    fewer = trim(teacher, rows["source"]).model
    assert len(fewer.tokenizer) < len(teacher.tokenizer)
    assert is_copy(fewer, teacher)
    assert chosen_anchor(fewer, teacher, rows) == SHARE
    with torch.no_grad():
        fewer[0].auto_model.get_input_embeddings().weight[-1].add_(0.01)
    assert not is_copy(fewer, teacher)


def test_a_cached_teacher_shares_its_weights_and_gives_the_same_choice(models, understood, tmp_path):
    student, teacher = models
    args = arguments(tmp_path / "out", max_steps=1, objective="rank")
    trainer = OTDistillationTrainer(
        model=student,
        teacher=teacher,
        teacher_cache=tmp_path / "cache",
        args=args,
        train_dataset={NAME: pairs(understood)},
    )
    trainer.train()
    loss = trainer.loss[NAME]
    assert loss.anchor == SHARE
    shared = {parameter.data_ptr() for parameter in teacher.parameters()}
    assert all(parameter.data_ptr() in shared for parameter in loss.untrained.parameters())


@pytest.mark.parametrize(("understood", "expected"), [(True, SHARE), (False, 0.0)])
def test_the_trainer_chooses_before_the_first_step(models, tmp_path, understood, expected):
    student, teacher = models
    rows = tiny_models.bitext(40)
    if understood:
        rows = rows.map(lambda row: {"translation": row["source"]})
    args = arguments(tmp_path, max_steps=1, objective="rank")
    trainer = OTDistillationTrainer(model=student, teacher=teacher, args=args, train_dataset={NAME: rows})
    trainer.train()
    assert trainer.loss[NAME].anchor == expected
    assert (trainer.loss[NAME].untrained is not None) == bool(expected)
    assert trainer.loss[NAME].get_config_dict().get("anchor") == (expected or None)


@pytest.mark.parametrize(("given", "expected"), [(None, SHARE), (0.0, 0.0), (0.3, 0.3)])
def test_a_loss_of_the_users_own_follows_the_arguments(models, understood, tmp_path, given, expected):
    student, teacher = models
    loss = OTDistillationLoss(student, teacher, objective="rank")
    args = arguments(tmp_path, objective="rank", anchor=given)
    fill_banks({NAME: loss}, {NAME: pairs(understood)}, args)
    assert loss.anchor == expected
    assert anchor_of({NAME: loss}) == expected
    own = OTDistillationLoss(student, teacher, objective="rank", anchor=0.2)
    fill_banks(own, pairs(understood), args)
    assert own.anchor == 0.2


def test_bad_shares_are_refused(models, tmp_path):
    student, teacher = models
    for bad in (1, -0.1, float("nan")):
        with pytest.raises(InputError, match="share of 0 or more"):
            OTDistillationLoss(student, teacher, objective="rank", anchor=bad)
        with pytest.raises(InputError, match="share of 0 or more"):
            arguments(tmp_path, anchor=bad)
    with pytest.raises(InputError, match="no term 'rank'"):
        OTDistillationLoss(student, teacher, objective="ot", anchor=0.5)
    LanguageAdapters(student).add("swh_Latn")
    with pytest.raises(InputError, match="language adapters"):
        OTDistillationTrainer(
            model=student,
            teacher=teacher,
            args=arguments(tmp_path, anchor=0.5, objective="rank"),
            train_dataset={NAME: tiny_models.bitext(8)},
        )
    with pytest.raises(InputError, match="language adapters"):
        OTDistillationTrainer(
            model=student,
            args=arguments(tmp_path, objective="rank"),
            loss=OTDistillationLoss(student, teacher, objective="rank", anchor=0.5),
            train_dataset=tiny_models.bitext(8),
        )
