from __future__ import annotations

import pytest
import tiny_models
import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformer

from hf_optical.errors import InputError
from hf_optical.training import lexical_stage
from hf_optical.training.lexical_stage import inject_lexicon, shuffled_pairs

ENGLISH, SWAHILI = tiny_models.ENGLISH[:12], tiny_models.SWAHILI[:12]
ROWS = Dataset.from_dict({"source": ENGLISH, "translation": SWAHILI})
QUICK = {"steps": 4, "batch_size": 6, "learning_rate": 1e-2, "show_progress": False, "use_cpu": True}


@pytest.fixture
def student(tmp_path):
    return tiny_models.dense(tmp_path, [*tiny_models.SWAHILI, *tiny_models.ENGLISH], layers=3, seed=1)


@pytest.fixture
def teacher(tmp_path):
    return tiny_models.dense(tmp_path, tiny_models.ENGLISH, layers=3)


def weights(model):
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def test_lora_moves_query_and_value_below_the_layer_and_leaves_a_plain_model(student, teacher, tmp_path):
    before, english = weights(student), weights(teacher)
    done = inject_lexicon(student, ROWS, teacher=teacher, layer=2, **QUICK)
    after = weights(student)
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert moved == {
        f"0.model.encoder.layer.{layer}.attention.self.{part}.weight" for layer in (0, 1) for part in ("query", "value")
    }
    assert done.trainable == 2 * 2 * 16 * (16 + 16) and done.english_read_by == "teacher" and done.steps == 4
    assert all(torch.equal(value, english[name]) for name, value in weights(teacher).items())
    assert all(parameter.requires_grad for parameter in student.parameters())
    student.save_pretrained(str(tmp_path / "saved"))
    loaded = SentenceTransformer(str(tmp_path / "saved"), device="cpu")
    torch.testing.assert_close(loaded.encode(SWAHILI), student.encode(SWAHILI), atol=1e-6, rtol=0)
    assert not list((tmp_path / "saved").rglob("adapter_*"))


def test_full_weights_move_embeddings_and_lower_layers(student, teacher):
    before = weights(student)
    inject_lexicon(student, ROWS, teacher=teacher, layer=1, method="full", **QUICK)
    moved = {name for name, value in weights(student).items() if not torch.equal(value, before[name])}
    assert "0.model.embeddings.word_embeddings.weight" in moved
    assert any(name.startswith("0.model.encoder.layer.0.") for name in moved)
    assert not any(name.startswith(("0.model.encoder.layer.1.", "0.model.encoder.layer.2.")) for name in moved)


def test_words_come_nearer_to_their_translations_and_the_control_does_not_bring_them(tmp_path):
    from hf_optical.evaluation.layer_probe import probe_layers

    pairs, found = list(zip(ENGLISH, SWAHILI, strict=True)), {}
    for shuffled in (False, True):
        student = tiny_models.dense(tmp_path, tiny_models.SWAHILI, layers=3, seed=1)
        teacher = tiny_models.dense(tmp_path, tiny_models.ENGLISH, layers=3)
        options = {**QUICK, "steps": 60, "batch_size": 12}
        inject_lexicon(student, ROWS, teacher=teacher, layer=1, method="full", shuffled=shuffled, **options)
        found[shuffled] = probe_layers(student, pairs, teacher=teacher)
    assert found[False].layers[1].p1 == 1 and found[False].output.p1 == 1
    assert found[True].layers[1].p1 < 0.2 and found[True].output.p1 < 0.3


def test_the_same_seed_gives_the_same_weights(tmp_path):
    runs = []
    for seed in (3, 3, 4):
        student = tiny_models.dense(tmp_path, [*tiny_models.SWAHILI, *tiny_models.ENGLISH], layers=2, seed=1)
        torch.manual_seed(len(runs))  # what was drawn before does not matter
        inject_lexicon(student, ROWS, layer=1, seed=seed, **QUICK)
        runs.append(weights(student))
    same = [all(torch.equal(runs[0][name], run[name]) for name in run) for run in runs[1:]]
    assert same == [True, False]


def test_late_interaction_and_a_teacher_of_another_body(tmp_path):
    late = tiny_models.late(tmp_path, [*tiny_models.SWAHILI, *tiny_models.ENGLISH], seed=1)
    before = weights(late)
    inject_lexicon(late, ROWS, layer=1, **QUICK)
    assert any(not torch.equal(value, before[name]) for name, value in weights(late).items())
    student = tiny_models.dense(tmp_path, [*tiny_models.SWAHILI, *tiny_models.ENGLISH], layers=2, seed=2)
    other = tiny_models.dense(tmp_path, tiny_models.ENGLISH, layers=1, seed=3)
    assert inject_lexicon(student, ROWS, teacher=other, layer=1, **QUICK).english_read_by == "student"


def test_a_failure_leaves_the_student_as_it_came(student, monkeypatch):
    def fail(*_):
        raise RuntimeError("out of memory")

    before = weights(student)
    student[0].model.embeddings.dropout.p = 0.3
    frozen = student[0].model.embeddings.word_embeddings.weight.requires_grad_(False)
    monkeypatch.setattr(lexical_stage, "_train", fail)
    with pytest.raises(RuntimeError, match="memory"):
        inject_lexicon(student, ROWS, layer=2, **QUICK)
    after = weights(student)
    assert list(after) == list(before) and all(torch.equal(after[name], before[name]) for name in before)
    assert student[0].model.embeddings.dropout.p == 0.3 and not frozen.requires_grad
    assert sum(not parameter.requires_grad for parameter in student.parameters()) == 1


def test_shuffled_pairs_are_never_true_ones():
    rows = Dataset.from_dict({"source": ["a", "A", "b", "c", "d"], "translation": ["x", "y", "X ", "z", "w"]})
    true = {("a", "x"), ("a", "y"), ("b", "x"), ("c", "z"), ("d", "w")}
    for seed in range(30):
        mixed = shuffled_pairs(rows, seed)
        found = {
            (s.casefold(), t.strip().casefold()) for s, t in zip(mixed["source"], mixed["translation"], strict=True)
        }
        assert not found & true
        assert list(mixed["source"]) == list(rows["source"]) and sorted(mixed["translation"]) == sorted(
            rows["translation"]
        )
    assert list(shuffled_pairs(ROWS, 0)["translation"]) != list(shuffled_pairs(ROWS, 1)["translation"])
    with pytest.raises(InputError, match="could not be shuffled"):
        shuffled_pairs(Dataset.from_dict({"source": ["a"], "translation": ["x"]}))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer": 0}, "embedding layer"),
        ({"layer": 9}, "to 3"),
        ({"method": "dora"}, "lora, full"),
        ({"steps": 0}, "steps"),
        ({"target_modules": ["q_proj"]}, "name some of its linear modules in target_modules: .*query"),
    ],
)
def test_bad_options_are_refused(student, options, message):
    before = weights(student)
    with pytest.raises(InputError, match=message):
        inject_lexicon(student, ROWS, **{**QUICK, **options})
    assert list(weights(student)) == list(before)
