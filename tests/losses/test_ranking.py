"""The ranking term and its bank of English sentences."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_models
import torch
from datasets import Dataset
from tiny_runs import arguments

from hf_optical.batching.collation import OTDistillationDataCollator
from hf_optical.errors import InputError
from hf_optical.losses import OTDistillationLoss
from hf_optical.losses.ranking import ranking_loss
from hf_optical.losses.terms import parse_objective
from hf_optical.teacher_cache import CachedTeacher
from hf_optical.training.teacher_bank import teacher_bank
from hf_optical.training.trainer import OTDistillationTrainer

ROWS = {
    "source": ["the goat sleeps", "a child runs", "the teacher sees a dog", "a big tree"] * 2,
    "translation": ["mbuzi analala", "mtoto anakimbia", "mwalimu anaona mbwa", "mti kubwa"] * 2,
}


def vectors(rows: int, seed: int) -> torch.Tensor:
    return torch.randn(rows, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_loss_is_the_divergence_written_out():
    student, teacher, bank = vectors(3, 0), vectors(3, 1), vectors(7, 2)
    unit = [(x / x.norm(dim=1, keepdim=True)).numpy() for x in (student, teacher, bank)]
    found, wanted = (np.exp(side @ unit[2].T / 0.2) for side in unit[:2])
    found, wanted = (side / side.sum(1, keepdims=True) for side in (found, wanted))
    expected = (wanted * np.log(wanted / found)).sum(1).mean()
    assert float(ranking_loss(student, teacher, bank, 0.2)) == pytest.approx(expected, rel=1e-5)


def test_it_is_least_where_the_student_ranks_as_the_teacher_and_leads_there():
    teacher, bank = vectors(4, 1), vectors(20, 2)
    assert float(ranking_loss(3 * teacher, teacher, bank)) == pytest.approx(0, abs=1e-6)  # lengths do not count
    student = vectors(4, 0).requires_grad_()
    optimizer = torch.optim.Adam([student], lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        ranking_loss(student, teacher, bank, 0.5).backward()  # at .05 one sentence has all the mass
        optimizer.step()
    assert torch.cosine_similarity(student, teacher).min() > 0.99


def test_sentences_that_mean_the_same_are_no_negatives_of_each_other():
    # An InfoNCE with one right answer can never be below log 2 where the bank holds the answer twice.
    teacher = vectors(2, 1)
    assert float(ranking_loss(teacher, teacher, torch.cat([teacher, teacher]))) == pytest.approx(0, abs=1e-6)


def test_the_bank_holds_each_sentence_once_and_no_more_than_asked(tmp_path):
    teacher = tiny_models.dense(tmp_path)
    bank = teacher_bank(teacher, ROWS["source"])
    expected = teacher.encode_query(ROWS["source"][:4], normalize_embeddings=True)
    assert bank.shape == (4, 16)
    assert np.allclose(bank.numpy(), expected, atol=1e-6)
    drawn = [teacher_bank(teacher, ROWS["source"], size=2, seed=seed) for seed in (0, 0, 1, 2, 3)]
    assert all(len(one) == 2 for one in drawn)
    assert torch.equal(drawn[0], drawn[1])
    assert not all(torch.equal(drawn[0], one) for one in drawn[2:])
    with pytest.raises(InputError, match="no English text"):
        teacher_bank(teacher, [])


def test_a_cache_that_has_all_texts_spares_the_teacher_the_reading(tmp_path, monkeypatch):
    teacher = tiny_models.dense(tmp_path)
    expected = teacher_bank(teacher, ROWS["source"])
    cached = CachedTeacher.for_teacher(teacher, tmp_path / "cache")
    cached.fill(ROWS["source"][:3], show_progress=False)
    torch.testing.assert_close(teacher_bank(cached, ROWS["source"]), expected)
    assert len(teacher_bank(CachedTeacher(tmp_path / "cache"), ROWS["source"])) == 3
    cached.fill(ROWS["source"], show_progress=False)
    monkeypatch.setattr(teacher, "encode_query", None)
    torch.testing.assert_close(teacher_bank(cached, ROWS["source"]), expected, atol=1e-3, rtol=0)


def test_without_a_bank_the_english_of_the_batch_is_ranked_and_that_is_said_once(tmp_path, caplog):
    teacher = tiny_models.dense(tmp_path)
    student = tiny_models.dense(tmp_path, tiny_models.SWAHILI, seed=1)
    loss = OTDistillationLoss(student, teacher, objective="rank")
    assert "bank" not in loss.state_dict()

    def value():
        features = [
            model.preprocess(texts) for model, texts in ((teacher, ["goat", "dog"]), (student, ["mbuzi", "mbwa"]))
        ]
        features[0]["teacher_tokenized"] = True
        return float(loss(features)["rank"].detach())

    found = [value(), value()]
    assert caplog.text.count("ranks only the English of each batch") == 1
    english, other = (model.encode_query(texts, convert_to_tensor=True)
                      for model, texts in ((teacher, ["goat", "dog"]), (student, ["mbuzi", "mbwa"])))  # fmt: skip
    assert (
        found[0] == found[1] == pytest.approx(float(ranking_loss(other, english, english, loss.temperature)), rel=1e-4)
    )


def test_it_needs_sentence_vectors(tmp_path):
    late = tiny_models.late(tmp_path, tiny_models.SWAHILI, seed=1)
    with pytest.raises(InputError, match="late-interaction student"):
        OTDistillationLoss(late, tiny_models.late(tmp_path), objective="ot+rank")
    with pytest.raises(InputError, match="late-interaction teacher"):
        teacher_bank(tiny_models.late(tmp_path), ["the goat"])


def test_the_trainer_makes_the_bank_and_the_loss_falls(tmp_path):
    teacher = tiny_models.dense(tmp_path)
    student = tiny_models.dense(tmp_path, tiny_models.SWAHILI, seed=1)
    args = arguments(tmp_path / "out", objective="ot+rank", max_steps=20, bank_size=3)
    trainer = OTDistillationTrainer(student, args, Dataset.from_dict(ROWS), teacher=teacher)
    trainer.train()
    assert len(trainer.loss.bank) == 3
    ranked = [log["rank"] for log in trainer.state.log_history if "rank" in log]
    assert ranked[-1] < 0.5 * ranked[0]
    with pytest.raises(InputError, match="bank_size"):
        arguments(tmp_path, bank_size=1)


def test_a_loss_that_is_given_gets_its_bank_from_its_own_teacher(tmp_path):
    teacher = tiny_models.dense(tmp_path)
    student = tiny_models.dense(tmp_path, tiny_models.SWAHILI, seed=1)
    args = arguments(tmp_path / "out", max_steps=1)
    loss = OTDistillationLoss(student, teacher, objective="rank+0.5*source")
    collator = OTDistillationDataCollator.for_models(student, teacher, mirror=True)
    OTDistillationTrainer(student, args, Dataset.from_dict(ROWS), loss=loss, data_collator=collator).train()
    torch.testing.assert_close(loss.bank, teacher_bank(teacher, ROWS["source"]))
    made = OTDistillationTrainer(student, args, Dataset.from_dict(ROWS), loss=loss, teacher=teacher)
    assert made.data_collator.mirror  # as the loss asks, whatever the arguments' own objective


def test_names_of_older_versions_are_read_with_a_warning():
    with pytest.warns(FutureWarning, match="'contrastive' is now called 'nce'"):
        assert parse_objective("ot+0.5*contrastive") == {"ot": 1.0, "nce": 0.5}


def test_the_bank_is_read_as_queries(tmp_path):
    teacher = tiny_models.dense(tmp_path)
    teacher.prompts = {"query": "the big ", "document": "a small "}
    texts = list(dict.fromkeys(ROWS["source"]))
    bank = teacher_bank(teacher, texts)
    as_queries, as_documents = teacher.encode_query(texts), teacher.encode_document(texts)
    assert not np.allclose(as_queries, as_documents, atol=1e-3)
    assert np.allclose(bank.numpy(), as_queries, atol=1e-5)
