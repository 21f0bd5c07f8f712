"""Contrast of questions with the passages of an index that stays."""

import pytest
import torch
from datasets import Dataset
from torch.nn import functional

from hf_optical import OTDistillationTrainer
from hf_optical.batching.collation import OTDistillationDataCollator
from hf_optical.errors import InputError
from hf_optical.losses import IndexContrastLoss
from hf_optical.training.arguments import OTDistillationTrainingArguments
from tests.tiny_models import ENGLISH, SWAHILI, dense, late

ROWS = [
    {"query": "mbuzi analala", "passage": "the goat sleeps"},
    {"query": "mbwa anakula", "passage": "the big dog eats"},
    {"query": "mtoto anaona", "passage": "the child sees"},
]


@pytest.fixture
def models(tmp_path):
    return dense(tmp_path / "student", SWAHILI, seed=1), dense(tmp_path / "teacher", ENGLISH, seed=0)


def batch_of(student, teacher, rows=ROWS, **options):
    collator = OTDistillationDataCollator.for_models(student, teacher, document_encoder="teacher", **options)
    batch = collator(rows)
    columns = [column for column in rows[0] if column != "dataset_name"]
    return [
        {key[len(column) + 1 :]: value for key, value in batch.items() if key.startswith(f"{column}_")}
        for column in columns
    ]


@pytest.mark.parametrize("negatives", [False, True])
def test_loss_is_cross_entropy_against_the_vectors_of_the_index(models, negatives):
    student, teacher = models
    teacher.prompts = {"query": "the small ", "document": "a big "}
    rows = [{**row, "negative": "the red river runs"} for row in ROWS] if negatives else ROWS
    found = IndexContrastLoss(student, teacher, temperature=0.1)(batch_of(student, teacher, rows))
    asked = student.encode_query([row["query"] for row in ROWS], convert_to_tensor=True)
    there = teacher.encode_document([row["passage"] for row in ROWS], convert_to_tensor=True)
    if negatives:
        there = torch.cat([there, teacher.encode_document(["the red river runs"] * 3, convert_to_tensor=True)])
    cosines = functional.normalize(asked, dim=-1) @ functional.normalize(there, dim=-1).T
    assert float(found) == pytest.approx(float(functional.cross_entropy(cosines / 0.1, torch.arange(3))), abs=1e-5)


def test_training_length_does_not_cut_the_passages_of_the_index(models):
    short, whole = batch_of(*models, max_length=4), batch_of(*models)
    assert short[0]["input_ids"].shape[1] == 4
    assert torch.equal(short[1]["input_ids"], whole[1]["input_ids"])


def test_gradients_reach_the_student_alone_and_passages_are_read_once(models):
    student, teacher = models
    loss = IndexContrastLoss(student, teacher)
    assert {id(one) for one in loss.parameters()} == {id(one) for one in student.parameters()}
    loss(batch_of(student, teacher)).backward()
    assert any(one.grad is not None and one.grad.abs().sum() > 0 for one in student.parameters())
    assert all(one.grad is None for one in teacher.parameters())
    read = []
    teacher.register_forward_pre_hook(lambda module, inputs: read.append(len(inputs[0]["input_ids"])))
    more = [*ROWS, {"query": "mbwa anaona", "passage": "the dog sees"}]
    loss(batch_of(student, teacher, more))
    assert read == [1]  # the fourth passage; three are known


def test_trainer_trains_questions_toward_the_index(models, tmp_path):
    student, teacher = models
    before = teacher.encode_document(["the goat sleeps"])
    data = {
        "bitext/eng_Latn-swh_Latn": Dataset.from_list([{"source": "the goat", "translation": "mbuzi"}] * 8),
        "cross/swh_Latn-eng_Latn": Dataset.from_list(ROWS * 4),
    }
    args = OTDistillationTrainingArguments(
        tmp_path / "run", document_encoder="teacher", max_steps=60, learning_rate=5e-3, use_cpu=True, report_to="none",
        per_device_train_batch_size=3, save_strategy="no",
    )  # fmt: skip

    def share_found():
        asked = student.encode_query([row["query"] for row in ROWS], convert_to_tensor=True)
        there = teacher.encode_document([row["passage"] for row in ROWS], convert_to_tensor=True)
        return float((student.similarity(asked, there).argmax(1) == torch.arange(3)).float().mean())

    OTDistillationTrainer(student, args, train_dataset=data, teacher=teacher).train()
    assert share_found() == 1
    assert (teacher.encode_document(["the goat sleeps"]) == before).all()


def test_passages_tokenised_for_the_student_are_refused(models):
    student, teacher = models
    features = [student.preprocess([row["query"] for row in ROWS]), student.preprocess(["mbuzi"] * 3)]
    with pytest.raises(InputError, match="tokenised for the student"):
        IndexContrastLoss(student, teacher)(features)


def test_what_cannot_read_passages_is_refused_early(models, tmp_path):
    student, teacher = models
    with pytest.raises(InputError, match="late-interaction"):
        IndexContrastLoss(late(tmp_path / "late"), teacher)
    args = OTDistillationTrainingArguments(tmp_path / "run", document_encoder="teacher", use_cpu=True)
    with pytest.raises(InputError, match="there is no teacher"):
        OTDistillationTrainer(student, args, train_dataset={"cross/swh_Latn-eng_Latn": Dataset.from_list(ROWS)})
