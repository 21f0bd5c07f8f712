import json
import logging

import pytest
import tiny_models
import torch
from script_modules import load_recipe
from transformers import (
    AutoModel,
    BertConfig,
    DistilBertConfig,
    ModernBertConfig,
    MPNetConfig,
    T5Config,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from hf_optical import OTDistillationTrainer, OTDistillationTrainingArguments
from hf_optical.encoders.limits import Limits, check_length, limits_of, named_limits
from hf_optical.encoders.models import load_encoder
from hf_optical.errors import InputError
from hf_optical.runs.options import TrainConfig

SMALL = {"vocab_size": 50, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}


@pytest.mark.parametrize(
    ("config", "positions"),
    [
        (BertConfig(**SMALL, max_position_embeddings=40), 40),
        (XLMRobertaConfig(**SMALL, max_position_embeddings=42, pad_token_id=1), 40),
        (MPNetConfig(**SMALL, max_position_embeddings=42, pad_token_id=1), 40),
        (DistilBertConfig(vocab_size=50, dim=8, n_layers=1, n_heads=2, hidden_dim=8, max_position_embeddings=40), 40),
        (T5Config(vocab_size=50, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2), None),
    ],
    ids=lambda value: getattr(value, "model_type", value),
)
def test_positions_are_those_that_the_model_can_read(config, positions):
    model = AutoModel.from_config(config).eval()
    assert limits_of(model).positions == positions
    if positions is not None:  # so many it reads, and one more it does not
        model(input_ids=torch.full((1, positions), 5))
        with pytest.raises((RuntimeError, IndexError, ValueError)):
            model(input_ids=torch.full((1, positions + 1), 5))


def test_a_folder_says_its_limits_without_its_weights(tmp_path):
    model = tiny_models.dense(tmp_path)
    model.save_pretrained(str(tmp_path / "m"))
    (tmp_path / "m" / "model.safetensors").unlink()
    assert named_limits(str(tmp_path / "m")) == Limits(positions=32, vocabulary=25, tokens=25, layers=1)
    assert named_limits(str(tmp_path / "nothing")) == Limits()


def test_rotary_positions_warn_beyond_what_they_were_trained_to(caplog):
    body = AutoModel.from_config(ModernBertConfig(**SMALL, max_position_embeddings=40, pad_token_id=0))
    found = limits_of(body)
    assert found.positions is None and found.trained == 40
    assert limits_of(AutoModel.from_config(BertConfig(**SMALL, max_position_embeddings=40))).trained is None
    check_length(found, 40, "the teacher")
    assert "trained for texts" not in caplog.text
    check_length(found, {"query": 16, "document": 64}, "the teacher")
    assert "max_length is 64, but the teacher was trained for texts of 40 tokens" in caplog.text


@pytest.mark.parametrize("length", [33, {"query": 16, "document": 33}])
def test_texts_longer_than_the_positions_are_refused(length):
    with pytest.raises(InputError, match=r"33.*positions for 32"):
        check_length(Limits(positions=32), length, "the teacher")
    check_length(Limits(positions=33), length, "the teacher")
    check_length(Limits(), length, "the teacher")
    check_length(Limits(positions=32), None, "the teacher")


def test_tokens_above_a_gap_in_the_ids_count(tmp_path):
    model = tiny_models.dense(tmp_path)
    model.tokenizer.add_tokens(["zebra"])
    assert limits_of(model).tokens == 26
    with pytest.raises(InputError, match=r"26 tokens.*vectors for 25"):
        limits_of(model).check_vocabulary("m")


def test_the_trainer_refuses_before_it_trains(tmp_path):
    teacher, student = tiny_models.dense(tmp_path), tiny_models.dense(tmp_path, tiny_models.SWAHILI)
    args = OTDistillationTrainingArguments(
        output_dir=str(tmp_path / "o"), max_length=64, use_cpu=True, report_to="none"
    )
    rows = {"bitext/eng_Latn-swh_Latn": tiny_models.bitext()}
    with pytest.raises(InputError, match=r"max_length.*64, but the student has positions for 32"):
        OTDistillationTrainer(model=student, teacher=teacher, args=args, train_dataset=rows)
    args.max_length = 32
    student.tokenizer.add_tokens(["zebra"])
    with pytest.raises(InputError, match="the student: the tokenizer knows"):
        OTDistillationTrainer(model=student, teacher=teacher, args=args, train_dataset=rows)


@pytest.mark.parametrize("plan", [False, True])
def test_the_recipe_refuses_before_anything_is_read(tmp_path, plan):
    tiny_models.dense(tmp_path).save_pretrained(str(tmp_path / "teacher"))
    (tmp_path / "teacher" / "model.safetensors").write_bytes(b"not weights")
    options = {"teacher": str(tmp_path / "teacher"), "bitext": ["no/such/file.tsv"], "eval": ["no/such/folder"]}
    for wrong, said in (
        ({"max_length": 33}, "max_length.*33.*positions for 32"),
        ({"max_length": 32, "num_layers": 2}, "num_layers.*1 layers"),
        ({"max_length": 32, "lexicon": "x.tsv", "lexical_layer": 3}, "lexical_layer.*1 layers"),
    ):
        config = TrainConfig(**options, language="sw", plan=plan, output_dir=str(tmp_path / "o"), **wrong)
        with pytest.raises(InputError, match=said):
            load_recipe("train").main(config)


def test_the_default_length_is_lowered_to_what_the_models_have(tmp_path, caplog):
    tiny_models.dense(tmp_path).save_pretrained(str(tmp_path / "teacher"))
    config = TrainConfig(teacher=str(tmp_path / "teacher"), bitext=["x.tsv"], eval=["x"], language="sw")
    with caplog.at_level(logging.WARNING, logger="hf_optical"):
        config.check()
    assert config.max_length == 32
    assert "max_length is set to 32" in caplog.text


def test_a_model_that_claims_more_than_it_has_is_cut_with_a_word(tmp_path, caplog):
    # XLM-R's table has two rows more than positions, and a tokenizer that says no length leaves it at that.
    tiny_models.dense(tmp_path)
    folder = next(tmp_path.glob("dense-*"))
    about = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**about, "model_max_length": 10**30}))
    config = XLMRobertaConfig(**SMALL, max_position_embeddings=34, pad_token_id=1)
    XLMRobertaModel(config, add_pooling_layer=False).save_pretrained(folder)
    with caplog.at_level(logging.WARNING, logger="hf_optical"):
        loaded = load_encoder(str(folder))
    assert loaded.max_seq_length == 32
    assert "34 tokens" in caplog.text and "truncated at 32" in caplog.text
    loaded.encode(["the goat " * 40])
