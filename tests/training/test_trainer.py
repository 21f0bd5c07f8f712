from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import tiny_models
import torch
from datasets import Dataset
from safetensors.torch import load_file
from sentence_transformers import SentenceTransformer
from tiny_runs import arguments
from torch import nn

from hf_optical import (
    MultiVectorOTDistillationTrainer,
    OTDistillationLoss,
    OTDistillationTrainer,
)
from hf_optical.errors import HFOpticalError, InputError, NonFiniteError

NAME = "bitext/eng_Latn-swh_Latn"


@pytest.fixture
def models(tmp_path):
    return tiny_models.dense(tmp_path, tiny_models.SWAHILI, seed=1), tiny_models.dense(tmp_path, tiny_models.ENGLISH)


class Projected(OTDistillationLoss):
    """A loss with a parameter of its own, which the hosts would forget in their checkpoints."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.scale = nn.Parameter(torch.ones(2))

    def compute_terms(self, student, teacher):
        terms = super().compute_terms(student, teacher)
        return {**terms, "scaled": terms["ot"] * self.scale.square().sum()}


def test_training_lowers_every_named_loss_and_moves_the_student_only(models, tmp_path):
    student, teacher = models
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    trainer = OTDistillationTrainer(
        model=student,
        teacher=teacher,
        args=arguments(tmp_path, max_steps=60),
        train_dataset={NAME: tiny_models.bitext(4)},
    )
    trainer.train()
    logs = [entry for entry in trainer.state.log_history if "ot" in entry]
    assert logs[-1]["ot"] < 0.8 * logs[0]["ot"] and logs[-1]["nce"] < 0.5 * logs[0]["nce"]
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())
    optimized = {id(p) for group in trainer.optimizer.param_groups for p in group["params"]}
    assert not optimized & {id(p) for p in teacher.parameters()}
    assert optimized == {id(p) for p in student.parameters()}


def test_late_interaction_trains_in_the_twin(tmp_path):
    student = tiny_models.late(tmp_path, tiny_models.SWAHILI, seed=1)
    teacher = tiny_models.late(tmp_path, tiny_models.ENGLISH)
    trainer = MultiVectorOTDistillationTrainer(
        model=student,
        teacher=teacher,
        args=arguments(tmp_path, max_steps=60),
        train_dataset={NAME: tiny_models.bitext(4)},
    )
    trainer.train()
    logs = [entry["ot"] for entry in trainer.state.log_history if "ot" in entry]
    assert logs[-1] < 0.8 * logs[0]


def test_kinds_of_data_get_their_losses(models, tmp_path):
    student, teacher = models
    rows = tiny_models.bitext(8)
    pairs = Dataset.from_dict({"query": rows["translation"], "passage": rows["translation"]})
    trainer = OTDistillationTrainer(
        model=student, teacher=teacher, args=arguments(tmp_path), train_dataset={NAME: rows, "mono/swh_Latn": pairs}
    )
    assert type(trainer.loss[NAME]).__name__ == "OTDistillationLoss"
    assert type(trainer.loss["mono/swh_Latn"]).__name__ == "MultipleNegativesRankingLoss"
    trainer.train()
    assert math.isfinite(trainer.state.log_history[-1]["train_loss"])


@pytest.mark.parametrize("stop", [3, 5])
def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(tmp_path, stop):
    def run(folder, resume=None, **options):
        student = tiny_models.dense(tmp_path, tiny_models.SWAHILI, seed=1)
        teacher = tiny_models.dense(tmp_path, tiny_models.ENGLISH)
        # 24 rows in batches of 4: six steps an epoch, so that the checkpoint lies in mid-epoch.
        args = arguments(folder, max_steps=9, save_strategy="steps", save_steps=stop, **options)
        trainer = OTDistillationTrainer(
            model=student,
            args=args,
            train_dataset={NAME: tiny_models.bitext(24)},
            teacher=teacher,
            loss={NAME: Projected(student, teacher)},
        )
        trainer.train(resume_from_checkpoint=resume)
        return student, trainer

    whole, first = run(tmp_path / "whole")
    resumed, second = run(tmp_path / "again", resume=str(tmp_path / "whole" / f"checkpoint-{stop}"))
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    assert torch.equal(first.loss[NAME].scale, second.loss[NAME].scale)
    assert not torch.equal(first.loss[NAME].scale, torch.ones(2))
    saved = load_file(tmp_path / "whole" / f"checkpoint-{stop}" / "loss_state.safetensors")
    assert list(saved) == [f"{NAME}|scale"]


def test_a_checkpoint_without_the_losss_state_is_refused(models, tmp_path):
    student, teacher = models
    args = arguments(tmp_path / "out", save_strategy="steps", save_steps=3, max_steps=3)
    options = {"args": args, "train_dataset": {NAME: tiny_models.bitext(12)}, "teacher": teacher}
    OTDistillationTrainer(model=student, **options).train()
    trainer = OTDistillationTrainer(model=student, loss={NAME: Projected(student, teacher)}, **options)
    with pytest.raises(InputError, match="resume with the losses"):
        trainer.train(resume_from_checkpoint=True)


@pytest.mark.parametrize(
    ("message", "kind", "advised"),
    [
        ("PytorchStreamWriter failed writing file", HFOpticalError, True),
        ("File /home/me/cuda_runs/a cannot be opened", HFOpticalError, True),
        ("CUDA error: device-side assert triggered", RuntimeError, False),
        ("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED", RuntimeError, False),
        ("Connection closed by peer", RuntimeError, False),
        ("CUDA out of memory", HFOpticalError, False),
    ],
)
def test_room_is_advised_only_where_writing_failed(models, tmp_path, monkeypatch, message, kind, advised):
    student, teacher = models
    trainer = OTDistillationTrainer(
        model=student,
        teacher=teacher,
        args=arguments(tmp_path, max_steps=2, save_steps=1, save_strategy="steps"),
        train_dataset={NAME: tiny_models.bitext(4)},
    )

    def fail(folder=None, state_dict=None):
        Path(folder).mkdir(parents=True, exist_ok=True)
        raise RuntimeError(message)

    monkeypatch.setattr(trainer, "_save", fail)
    with pytest.raises(kind, match=message) as caught:
        trainer.train()
    assert ("disk space" in str(caught.value)) is advised
    assert not list(tmp_path.glob("**/checkpoint-*"))


def test_a_non_finite_teacher_stops_before_the_step(models, tmp_path):  # trap 16
    student, teacher = models
    trainer = OTDistillationTrainer(
        model=student, teacher=teacher, args=arguments(tmp_path), train_dataset={NAME: tiny_models.bitext(8)}
    )
    before = {name: value.clone() for name, value in student.state_dict().items()}
    teacher[0].auto_model.embeddings.word_embeddings.weight.data[:] = float("nan")
    with pytest.raises(NonFiniteError, match=rf"step 1, data set '{NAME}'.*the teacher's vectors"):
        trainer.train()
    assert all(torch.equal(value, before[name]) for name, value in student.state_dict().items())


@pytest.mark.parametrize("max_grad_norm", [1.0, 0.0])
def test_a_non_finite_gradient_stops_before_the_step(models, tmp_path, max_grad_norm):
    student, teacher = models
    trainer = OTDistillationTrainer(
        model=student,
        teacher=teacher,
        args=arguments(tmp_path, max_grad_norm=max_grad_norm),
        train_dataset={NAME: tiny_models.bitext(8)},
    )
    before = {name: value.clone() for name, value in student.state_dict().items()}
    student[0].auto_model.encoder.layer[0].output.dense.weight.register_hook(lambda grad: grad * float("nan"))
    with pytest.raises(NonFiniteError, match="gradient"):
        trainer.train()
    assert all(torch.equal(value, before[name]) for name, value in student.state_dict().items())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"bitex/x": {"source": ["a"], "translation": ["b"]}}, "does not begin with a known kind"),
        ({NAME: {"en": ["a"], "zz": ["b"]}}, "a bitext set needs the columns source, translation; .*'en', 'zz'"),
        ({NAME: {"source": [], "translation": []}}, "no rows"),
        ({NAME: {"source": ["a", " "], "translation": ["b", "c"]}}, r"row 2, field 'source'"),
        ({NAME: {"source": ["a", "b"], "translation": ["b", None]}}, r"row 2, field 'translation'"),
        ({NAME: {"source": ["a"], "translation": [1]}}, "not text"),
        ({}, "no training set"),
    ],
)
def test_bad_training_sets_are_named(models, tmp_path, data, message):
    student, teacher = models
    with pytest.raises(InputError, match=message):
        OTDistillationTrainer(
            model=student,
            teacher=teacher,
            args=arguments(tmp_path),
            train_dataset={name: Dataset.from_dict(columns) for name, columns in data.items()},
        )


def test_bitext_without_a_teacher_is_refused(models, tmp_path):
    with pytest.raises(InputError, match="no teacher"):
        OTDistillationTrainer(model=models[0], args=arguments(tmp_path), train_dataset={NAME: tiny_models.bitext(4)})


def test_extra_columns_are_dropped_and_the_order_is_put_right(models, tmp_path):
    rows = tiny_models.bitext(8)
    mixed = Dataset.from_dict({"lang": ["x"] * 8, "translation": rows["translation"], "source": rows["source"]})
    trainer = OTDistillationTrainer(
        model=models[0], teacher=models[1], args=arguments(tmp_path, max_steps=1), train_dataset={NAME: mixed}
    )
    assert trainer.train_dataset[NAME].column_names == ["source", "translation"]
    trainer.train()


def test_unknown_solver_and_objective_are_refused_by_the_arguments(tmp_path):
    with pytest.raises(InputError, match="field 'solver': is 'simplex'"):
        arguments(tmp_path, solver="simplex")
    with pytest.raises(InputError, match="did you mean 'nce'"):
        arguments(tmp_path, objective="ot+nse")


def test_what_is_saved_loads_with_sentence_transformers_alone(models, tmp_path):
    student, teacher = models
    trainer = OTDistillationTrainer(
        model=student,
        teacher=teacher,
        args=arguments(tmp_path, max_steps=2),
        train_dataset={NAME: tiny_models.bitext(8)},
    )
    trainer.train()
    trainer.save_model(str(tmp_path / "saved"))
    kinds = [entry["type"] for entry in json.loads((tmp_path / "saved" / "modules.json").read_text())]
    assert all(kind.startswith("sentence_transformers.") for kind in kinds)
    loaded = SentenceTransformer(str(tmp_path / "saved"), device="cpu")
    texts = ["mbuzi analala", "mtoto anakula katika nyumba"]
    torch.testing.assert_close(
        torch.tensor(loaded.encode(texts)), torch.tensor(student.eval().encode(texts)), atol=1e-6, rtol=0
    )
    assert "Optimal Transport Distillation" in (tmp_path / "saved" / "README.md").read_text()


def test_idf_marginals_weigh_rare_tokens_more_on_both_sides(models, tmp_path):
    student, teacher = models
    rows = Dataset.from_dict(
        {"source": ["the goat", "the dog", "the tree", "the"], "translation": ["mbuzi", "mbwa", "mbuzi mti", "mbuzi"]}
    )
    trainer = OTDistillationTrainer(
        model=student,
        teacher=teacher,
        args=arguments(tmp_path, marginals="idf", max_steps=1),
        train_dataset={NAME: rows},
    )
    weights = trainer.loss[NAME].teacher_token_weights
    ids = teacher.tokenizer.convert_tokens_to_ids(["the", "goat"])
    assert weights[ids[0]] < weights[ids[1]] and len(weights) == len(teacher.tokenizer)
    ids = student.tokenizer.convert_tokens_to_ids(["mbuzi", "mti"])
    assert trainer.loss[NAME].student_token_weights[ids[0]] < trainer.loss[NAME].student_token_weights[ids[1]]
    trainer.train()
    with pytest.raises(InputError, match="marginals"):
        arguments(tmp_path, marginals="tfidf")


def test_an_evaluator_runs_during_training(models, tmp_path):
    from sentence_transformers.sentence_transformer.evaluation import TranslationEvaluator

    student, teacher = models
    rows = tiny_models.bitext(8)
    evaluator = TranslationEvaluator(rows["source"], rows["translation"], show_progress_bar=False)
    trainer = OTDistillationTrainer(
        model=student,
        teacher=teacher,
        args=arguments(tmp_path, eval_strategy="steps", eval_steps=3),
        train_dataset={NAME: rows},
        eval_dataset={NAME: rows},
        evaluator=evaluator,
    )
    trainer.train()
    evaluated = [entry for entry in trainer.state.log_history if "eval_mean_accuracy" in entry]
    assert len(evaluated) == 2 and any(f"eval_{NAME}_loss" in entry for entry in trainer.state.log_history)
