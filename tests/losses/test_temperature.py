"""Temperatures from a teacher's own scores."""

from __future__ import annotations

import math

import pytest
import tiny_models
import torch
from datasets import Dataset
from tiny_runs import arguments

from hf_optical import MultiVectorOTDistillationTrainer, OTDistillationLoss, OTDistillationTrainer
from hf_optical.errors import InputError, NonFiniteError
from hf_optical.losses.temperature import FALLBACK, bank_temperature, mean_entropy, perplexity_temperature
from hf_optical.teacher_cache import CachedTeacher
from hf_optical.training.teacher_bank import teacher_bank
from hf_optical.training.teacher_temperature import teacher_temperature


def unit(rows: int, width: int = 12, seed: int = 0) -> torch.Tensor:
    drawn = torch.randn(rows, width, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(drawn, dim=-1)


def test_at_the_temperature_found_the_distributions_have_the_perplexity_asked_for():
    bank = unit(200)
    own = torch.arange(200)
    for share in (0.02, 0.1, 0.5):
        temperature, wanted = perplexity_temperature(bank @ bank.T, own, share), share * 199
        scores = (bank @ bank.T).double().fill_diagonal_(-torch.inf)
        assert math.exp(mean_entropy(scores, temperature)) == pytest.approx(wanted, rel=0.02)


def test_only_the_spread_of_the_scores_counts():
    bank = unit(150)
    scores, own = bank @ bank.T, torch.arange(150)
    plain = perplexity_temperature(scores, own)
    assert perplexity_temperature(scores + 3, own) == pytest.approx(plain, rel=1e-2)
    assert perplexity_temperature(0.9 + 0.05 * scores, own) == pytest.approx(0.05 * plain, rel=1e-2)


def test_the_size_of_the_bank_hardly_counts():
    bank = unit(1200)
    assert bank_temperature(bank[:300]) == pytest.approx(bank_temperature(bank), rel=0.15)


def test_the_sentence_itself_does_not_count_as_its_neighbour():
    bank = unit(150)
    scores, own = bank @ bank.T, torch.arange(150)
    higher = scores.clone().fill_diagonal_(9.0)
    assert perplexity_temperature(higher, own) == perplexity_temperature(scores, own)
    nobody = perplexity_temperature(scores, torch.full((150,), -1))
    assert nobody > perplexity_temperature(scores, own)  # the mass on itself must be spread as well


@pytest.mark.parametrize("noise", [0.0, 1e-6, 1e-3])
def test_repetitions_do_not_decide_the_temperature(caplog, noise):
    """A third of the bank repeats each sentence but for rounding, and the perplexity wanted is a quarter of it."""
    centres, drawn = unit(3, 16), torch.arange(300) % 3
    bank = torch.nn.functional.normalize(centres[drawn] + noise * unit(300, 16, seed=1), dim=-1)
    temperature = bank_temperature(bank)
    spread = float((centres @ centres.T).max() - (centres @ centres.T).min())
    assert 0.1 * spread < temperature < spread
    assert bank_temperature(bank.repeat(2, 1)) == pytest.approx(temperature, rel=0.02)
    (said, *_) = caplog.messages
    assert (
        "about 99 of 299 sentences the same score" in said and "spread over 75" in said and f"{temperature:g}" in said
    )


def test_where_the_perplexity_can_be_reached_nothing_is_said(caplog):
    bank = unit(1000, 384)
    bisected = bank_temperature(bank)
    bank_temperature(torch.cat([bank[:200], bank[:200], bank[:200]]))  # each sentence three times
    assert not caplog.messages
    off = (bank @ bank.T)[~torch.eye(1000, dtype=torch.bool)]
    assert float(off.std()) / math.sqrt(2 * math.log(4)) == pytest.approx(bisected, rel=0.05)  # what stands in for it


def test_small_banks_and_bad_scores():
    assert bank_temperature(unit(7)) == FALLBACK
    assert 0 < bank_temperature(unit(9)) < 10
    with pytest.raises(InputError, match="too few"):
        perplexity_temperature(torch.zeros(3, 5), torch.arange(3))
    with pytest.raises(InputError, match="share"):
        perplexity_temperature(torch.rand(10, 20), torch.arange(10), 1.0)
    with pytest.raises(InputError, match="the same score"):
        perplexity_temperature(torch.ones(10, 20), torch.arange(10))
    with pytest.raises(NonFiniteError):
        perplexity_temperature(torch.full((10, 20), torch.nan), torch.arange(10))


@pytest.mark.parametrize("late", [False, True], ids=["dense", "late-interaction"])
def test_trainers_choose_it_before_the_first_step_and_a_given_one_wins(tmp_path, late):
    make, kind = (
        (tiny_models.late, MultiVectorOTDistillationTrainer) if late else (tiny_models.dense, OTDistillationTrainer)
    )
    rows = tiny_models.bitext(24)
    found = {}
    for given in (None, 0.3):
        teacher, student = make(tmp_path), make(tmp_path, tiny_models.SWAHILI, seed=1)
        args = arguments(tmp_path / "out", objective=None, max_steps=1, temperature=given)
        trainer = kind(student, args, rows, teacher=teacher)
        assert trainer.loss.temperature == given
        trainer.train()
        found[given] = trainer.loss.temperature
        assert trainer.loss.contrast.temperature == pytest.approx(found[given])
    assert found[0.3] == 0.3
    assert found[None] == teacher_temperature(make(tmp_path), rows["source"])
    assert found[None] != FALLBACK


def test_a_cache_gives_the_temperature_of_its_teacher(tmp_path):
    rows = tiny_models.bitext(24)
    for name, make in (("dense", tiny_models.dense), ("late", tiny_models.late)):
        teacher = make(tmp_path)
        cached = CachedTeacher.for_teacher(teacher, tmp_path / name)
        cached.fill(rows["source"], show_progress=False)
        alone = CachedTeacher(tmp_path / name)
        wanted = teacher_temperature(teacher, rows["source"])
        assert teacher_temperature(alone, rows["source"]) == pytest.approx(wanted, rel=0.02)


def test_the_loss_alone_takes_it_from_its_bank(tmp_path):
    teacher, student = tiny_models.dense(tmp_path), tiny_models.dense(tmp_path, tiny_models.SWAHILI, seed=1)
    rows = Dataset.from_dict(tiny_models.bitext(24)[:])
    bank = teacher_bank(teacher, rows["source"])
    loss = OTDistillationLoss(student, teacher, bank=bank)
    assert loss.weights == {"ot": 1.0, "rank": 1.0} and loss.temperature is None
    features = [teacher.preprocess(["the goat"]), student.preprocess(["mbuzi"])]
    features[0]["teacher_tokenized"] = True
    loss(features)
    assert loss.temperature == bank_temperature(bank)
