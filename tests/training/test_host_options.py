"""What the hosts offer beside our losses, one tiny training each: it runs, moves the weights, and stays finite."""

import pytest
import tiny_models
import torch
from datasets import Dataset, IterableDataset
from sentence_transformers import SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.sentence_transformer.losses import (
    AdaptiveLayerLoss,
    Matryoshka2dLoss,
    MatryoshkaLoss,
    MultipleNegativesRankingLoss,
)

from hf_optical import (
    OTDistillationDataCollator,
    OTDistillationLoss,
    OTDistillationTrainer,
    OTDistillationTrainingArguments,
)
from hf_optical.errors import InputError

NAME = "bitext/eng_Latn-swh_Latn"
ON_CPU = not torch.accelerator.is_available()


def train(tmp_path, rows=None, loss=None, student=None, **options):
    """Two steps; whether all weights are finite, and whether some have moved."""
    teacher = tiny_models.dense(tmp_path, seed=1)
    student = student or tiny_models.dense(tmp_path, tiny_models.SWAHILI)
    before = {name: value.clone() for name, value in student.state_dict().items()}
    args = OTDistillationTrainingArguments(
        output_dir=str(tmp_path / "out"),
        max_steps=2,
        per_device_train_batch_size=4,
        use_cpu=ON_CPU,
        report_to="none",
        save_strategy="no",
        learning_rate=1e-2,
        dataloader_pin_memory=False,
        **options,
    )
    rows = {NAME: tiny_models.bitext()} if rows is None else rows
    made = loss(student, teacher) if loss else None
    trainer = OTDistillationTrainer(
        model=student, teacher=teacher, args=args, train_dataset=rows, **({"loss": made} if made else {})
    )
    result = trainer.train()
    after = student.state_dict()
    assert result.global_step == 2 and torch.isfinite(torch.tensor(result.training_loss))
    assert all(torch.isfinite(value).all() for value in after.values() if value.is_floating_point())
    assert any(not torch.equal(before[name], value.to(before[name].device)) for name, value in after.items())
    return trainer


def test_bf16(tmp_path):
    trainer = train(tmp_path, bf16=True)
    assert next(trainer.model.parameters()).dtype == torch.float32  # weights stay; the forward pass is lowered


@pytest.mark.skipif(ON_CPU, reason="float16 with a loss scale needs an accelerator")
def test_fp16(tmp_path):
    train(tmp_path, fp16=True)


def test_float16_under_a_loss_scale_on_a_cpu(tmp_path):
    """What ``fp16=True`` does on a GPU, by hand: the hosts ask for a device, torch does not."""
    teacher, student = tiny_models.dense(tmp_path, seed=1), tiny_models.dense(tmp_path, tiny_models.SWAHILI)
    loss = OTDistillationLoss(student, teacher, objective="ot+nce")
    collate = OTDistillationDataCollator.for_models(student, teacher)
    batch = collate(tiny_models.bitext().select(range(4)).to_list())
    features = [
        {key.removeprefix(f"{side}_"): value for key, value in batch.items() if key.startswith(f"{side}_")}
        for side in ("source", "translation")
    ]
    optimizer = torch.optim.AdamW(student.parameters(), lr=1e-3)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    before = {name: value.clone() for name, value in student.state_dict().items()}
    seen = []
    for _ in range(3):
        with torch.autocast("cpu", torch.float16):
            terms = loss(features)
        assert all(value.dtype == torch.float32 for value in terms.values())
        total = sum(terms.values())
        scaler.scale(total).backward()
        scaler.unscale_(optimizer)
        assert all(torch.isfinite(weight.grad).all() for weight in student.parameters() if weight.grad is not None)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad()
        seen.append(float(total.detach()))
    assert seen[-1] < seen[0]
    assert any(not torch.equal(before[name], value) for name, value in student.state_dict().items())


def test_gradient_checkpointing_gives_the_same_weights(tmp_path):
    weights = []
    for checkpointing in (False, True):
        options = {"gradient_checkpointing_kwargs": {"use_reentrant": False}} if checkpointing else {}
        trainer = train(tmp_path, gradient_checkpointing=checkpointing, **options)
        weights.append(trainer.model.state_dict())
    assert all(torch.allclose(value, weights[1][name], atol=1e-6) for name, value in weights[0].items())


def test_torch_compile(tmp_path):
    train(tmp_path, torch_compile=True, torch_compile_backend="eager")  # inductor takes a minute for each shape


def test_matryoshka_dimensions(tmp_path):
    def loss(student, _):
        return MatryoshkaLoss(student, MultipleNegativesRankingLoss(student), [16, 8])

    rows = tiny_models.bitext().rename_columns({"source": "query", "translation": "passage"})
    train(tmp_path, rows=rows, loss=loss)


def test_matryoshka_dimensions_of_the_distillation(tmp_path):
    def loss(student, teacher):
        return OTDistillationLoss(
            student, teacher, objective="ot+rank+nce+mse", matryoshka_dims=[8, 16], temperature=0.05
        )

    assert train(tmp_path, loss=loss).loss.matryoshka_dims == (16, 8)


@pytest.mark.parametrize("wrap", [MatryoshkaLoss, AdaptiveLayerLoss, Matryoshka2dLoss])
def test_a_wrapper_of_the_host_around_the_distillation_is_refused_with_what_to_do(tmp_path, wrap):
    def loss(student, teacher):
        widths = () if wrap is AdaptiveLayerLoss else ([16, 8],)
        return wrap(student, OTDistillationLoss(student, teacher), *widths)

    with pytest.raises(InputError, match=r"is wrapped around a distillation loss.*matryoshka_dims=\[256, 64\]"):
        train(tmp_path, loss=loss)


def test_the_stock_trainer_says_the_same_of_a_wrapper(tmp_path):
    student, teacher = tiny_models.dense(tmp_path, seed=1), tiny_models.dense(tmp_path)
    wrapped = MatryoshkaLoss(student, OTDistillationLoss(student, teacher), [16, 8])
    args = SentenceTransformerTrainingArguments(str(tmp_path / "o"), max_steps=1, use_cpu=ON_CPU, report_to="none")
    trainer = SentenceTransformerTrainer(model=student, args=args, train_dataset=tiny_models.bitext(), loss=wrapped)
    with pytest.raises(InputError, match=r"wrapped around a distillation loss.*matryoshka_dims"):
        trainer.train()


def test_a_student_that_answers_in_fewer_dimensions(tmp_path):
    student = tiny_models.dense(tmp_path, tiny_models.SWAHILI)
    student.truncate_dim = 8
    train(tmp_path, student=student)
    assert student.encode(["mbuzi"]).shape == (1, 8)


def test_prompts(tmp_path):
    trainer = train(tmp_path, prompts={"source": "the ", "translation": "mti "})
    batch = next(iter(trainer.get_train_dataloader()))
    assert int(batch["translation_input_ids"].shape[1]) > 3


def test_streams(tmp_path):
    rows = tiny_models.bitext()
    unnamed = IterableDataset.from_generator(lambda: iter(rows.to_list()))  # says nothing of its columns
    train(tmp_path, rows=rows.to_iterable_dataset(), objective="ot+nce", temperature=0.05)  # not read beforehand
    train(tmp_path, rows=unnamed, objective="ot+nce", temperature=0.05)


def test_a_set_on_the_disk(tmp_path):
    tiny_models.bitext().save_to_disk(tmp_path / "rows")
    train(tmp_path, rows={NAME: Dataset.load_from_disk(tmp_path / "rows")})
