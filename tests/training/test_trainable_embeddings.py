"""Training some rows of the embedding table gives the weights that training all of them gives."""

from __future__ import annotations

import copy

import pytest
import tiny_models
import torch
from sentence_transformers import SentenceTransformer
from tiny_runs import arguments
from torch import nn

from hf_optical import OTDistillationTrainer
from hf_optical.encoders.parts import embeddings_of, transformer_of
from hf_optical.errors import InputError
from hf_optical.training.partial_embedding import UsedRows
from hf_optical.training.trainable_embeddings import trained_rows, used_rows

NAME = "bitext/eng_Latn-swh_Latn"
WORDS = [*tiny_models.SWAHILI, *(f"word{i}" for i in range(40))]


def table_of(model) -> nn.Embedding:
    return embeddings_of(transformer_of(model).model)


def trained(folder, rows: str, *, steps: int = 8, resume: str | None = None, **options) -> SentenceTransformer:
    student = tiny_models.dense(folder, WORDS, seed=1)
    teacher = tiny_models.dense(folder, tiny_models.ENGLISH)
    trainer = OTDistillationTrainer(
        model=student,
        teacher=teacher,
        args=arguments(folder / "out", max_steps=steps, train_embeddings=rows, **options),
        train_dataset={NAME: tiny_models.bitext(24)},
    )
    trainer.train(resume_from_checkpoint=resume)
    return student


def largest_difference(one, other) -> float:
    mine, theirs = one.state_dict(), other.state_dict()
    assert mine.keys() == theirs.keys()
    return max(float((mine[name] - theirs[name]).abs().max()) for name in mine)


def test_used_rows_train_as_all_rows_do(tmp_path):
    start = tiny_models.dense(tmp_path, WORDS, seed=1)
    every, used = trained(tmp_path / "all", "all"), trained(tmp_path / "used", "used")
    assert largest_difference(every, start) > 1e-2
    assert largest_difference(every, used) < 1e-6
    assert type(table_of(used)) is nn.Embedding and table_of(used).weight.shape == table_of(start).weight.shape
    assert table_of(used).padding_idx == table_of(start).padding_idx


def test_weight_decay_is_where_they_differ(tmp_path):
    """It shrinks rows that no text has, if all are trained; the rows that texts have are the same either way."""
    start = table_of(tiny_models.dense(tmp_path, WORDS, seed=1)).weight
    every, used = (table_of(trained(tmp_path / rows, rows, weight_decay=0.5)).weight for rows in ("all", "used"))
    unused = table_of(tiny_models.dense(tmp_path, WORDS)).weight.shape[0] - 1  # "word39", in no text
    assert torch.equal(used[unused], start[unused])
    assert (every[unused].norm() / start[unused].norm()) < 0.999
    mbuzi = len(tiny_models.SPECIAL)
    torch.testing.assert_close(every[mbuzi], used[mbuzi], atol=1e-6, rtol=0)


def test_none_leaves_the_table_and_trains_the_rest(tmp_path):
    start, end = tiny_models.dense(tmp_path, WORDS, seed=1), trained(tmp_path / "none", "none")
    assert torch.equal(table_of(start).weight, table_of(end).weight) and table_of(end).weight.requires_grad
    assert largest_difference(start, end) > 1e-2


def test_a_checkpoint_is_a_whole_model_and_training_goes_on_from_it(tmp_path):
    through = trained(tmp_path / "through", "used", lr_scheduler_type="constant")
    trained(tmp_path / "cut", "used", steps=4, lr_scheduler_type="constant", save_strategy="steps", save_steps=4)
    checkpoint = tmp_path / "cut" / "out" / "checkpoint-4"
    whole = SentenceTransformer(str(checkpoint), device="cpu")
    assert table_of(whole).weight.shape == table_of(through).weight.shape
    resumed = trained(tmp_path / "again", "used", resume=str(checkpoint), lr_scheduler_type="constant")
    assert largest_difference(resumed, through) == 0


def test_a_model_in_training_reads_other_texts_and_saves_all_rows(tmp_path):
    model = tiny_models.dense(tmp_path, WORDS, seed=1)
    untouched = copy.deepcopy(model)
    other = ["mbuzi word3 word7", "word39"]
    for folder in (None, tmp_path / "mapped"):
        with trained_rows(model, "used", ["mbuzi analala"], folder=folder):
            small = table_of(model)
            assert len(small.weight) == len(tiny_models.SPECIAL) + 2
            torch.testing.assert_close(model.encode(other), untouched.encode(other), atol=0, rtol=0)
            model.save_pretrained(str(tmp_path / "saved"))
        saved = SentenceTransformer(str(tmp_path / "saved"), device="cpu")
        assert largest_difference(saved, untouched) == 0 and largest_difference(model, untouched) == 0
        assert folder is None or not any(folder.iterdir())


def test_what_is_loaded_replaces_every_row(tmp_path):
    model, other = tiny_models.dense(tmp_path / "a", WORDS, seed=1), tiny_models.dense(tmp_path / "b", WORDS, seed=2)
    with trained_rows(model, "used", ["mbuzi"], folder=tmp_path):
        model.load_state_dict(other.state_dict())
        assert largest_difference(model, other) == 0
        with pytest.raises(RuntimeError, match=r"size mismatch for .*\(3, 16\) in the file"):
            table_of(model).load_state_dict({"weight": torch.zeros(3, 16)})
        with pytest.raises(RuntimeError, match="Missing key"):
            table_of(model).load_state_dict({})
    assert largest_difference(model, other) == 0


def test_a_piece_that_no_text_has_stops_training(tmp_path):
    model = tiny_models.dense(tmp_path, WORDS, seed=1)
    with trained_rows(model, "used", ["mbuzi"]):
        model.train()
        with pytest.raises(InputError, match=r"pieces .* that no text of the training data contains"):
            model(model.preprocess(["mbuzi word3"]))


def test_prompts_and_special_tokens_are_used(tmp_path):
    model = tiny_models.dense(tmp_path, WORDS, seed=1)
    model.prompts["query"] = "word1 "
    vocabulary = model.tokenizer.get_vocab()
    found = used_rows(model, ["mbuzi"], prompts=["word2 "])
    assert found == sorted(vocabulary[word] for word in (*tiny_models.SPECIAL, "mbuzi", "word1", "word2"))


def test_the_table_is_back_after_an_error(tmp_path):
    model = tiny_models.dense(tmp_path, WORDS, seed=1)
    with pytest.raises(ZeroDivisionError), trained_rows(model, "used", ["mbuzi"]):
        raise ZeroDivisionError
    assert type(table_of(model)) is nn.Embedding


@pytest.mark.parametrize(
    ("table", "used", "message"),
    [
        (nn.Embedding(4, 2, max_norm=1.0), [0], "does more than look up rows"),
        (nn.Embedding(4, 2).requires_grad_(False), [0], "already frozen"),
        (nn.Embedding(4, 2), [4], "outside the table"),
        (nn.Embedding(4, 2), [], "are empty or outside"),
    ],
)
def test_a_table_that_cannot_be_cut_is_refused(table, used, message):
    with pytest.raises(InputError, match=message):
        UsedRows(table, used)


def test_an_unknown_word_is_refused(tmp_path):
    with pytest.raises(InputError, match="use one of all, used, none"), trained_rows(None, "some"):
        pass
