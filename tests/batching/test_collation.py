from __future__ import annotations

import pytest
import tiny_models
import torch
from sentence_transformers.base.trainer import BaseTrainer

from hf_optical.batching.collation import OTDistillationDataCollator, same_tokenization
from hf_optical.encoders.feature_keys import TEXT_START
from hf_optical.encoders.teachers import query_prompt
from hf_optical.errors import InputError


@pytest.fixture
def models(tmp_path):
    return tiny_models.dense(tmp_path, tiny_models.SWAHILI, seed=1), tiny_models.dense(tmp_path, tiny_models.ENGLISH)


def test_each_side_is_read_by_its_own_tokenizer_in_a_fixed_order(models):
    student, teacher = models
    rows = [{"translation": "mbuzi analala", "source": "the goat sleeps"}]  # the columns stand the other way round
    batch = OTDistillationDataCollator.for_models(student, teacher, mirror=True)(rows)
    features, labels = BaseTrainer.collect_features(None, batch)
    assert labels is None and len(features) == 3
    assert torch.equal(features[0]["input_ids"], teacher.preprocess(["the goat sleeps"])["input_ids"])
    assert torch.equal(features[1]["input_ids"], student.preprocess(["mbuzi analala"])["input_ids"])
    assert torch.equal(features[2]["input_ids"], student.preprocess(["the goat sleeps"])["input_ids"])


def test_no_column_swallows_another_by_its_prefix(models):  # trap 9
    batch = OTDistillationDataCollator.for_models(*models, mirror=True)(list(tiny_models.bitext(2)))
    features, _ = BaseTrainer.collect_features(None, batch)
    for item in features:
        assert not [key for key in item if key.endswith("_input_ids")]
    assert [bool(item.get("teacher_tokenized")) for item in features] == [True, False, False]


def test_other_columns_of_a_bitext_row_are_not_trained_on(models):  # trap 9: a `lang` column would be embedded
    rows = [{"source": "the goat", "translation": "mbuzi", "lang": "swh", "doc_id": "1"}]
    features, _ = BaseTrainer.collect_features(None, OTDistillationDataCollator.for_models(*models)(rows))
    assert len(features) == 2


def test_query_passage_rows_pass_through_the_host(models):
    student, teacher = models
    collator = OTDistillationDataCollator.for_models(student, teacher, prompts={"query": "the "})
    features, _ = BaseTrainer.collect_features(None, collator([{"query": "mbuzi", "passage": "mbwa"}]))
    assert torch.equal(features[0]["input_ids"], student.preprocess(["the mbuzi"])["input_ids"])
    assert torch.equal(features[1]["input_ids"], student.preprocess(["mbwa"])["input_ids"])


def test_both_sides_are_read_under_their_query_prompts(models):
    student, teacher = models
    teacher.prompts = {"query": "the small "}
    features, _ = BaseTrainer.collect_features(
        None, OTDistillationDataCollator.for_models(student, teacher)([{"source": "goat", "translation": "mbuzi"}])
    )
    assert torch.equal(features[0]["input_ids"], teacher.preprocess(["the small goat"])["input_ids"])
    assert features[0][TEXT_START] == 3  # [CLS] the small
    assert TEXT_START not in features[1]


def test_prompts_of_the_training_arguments_go_before_the_models_own(models):
    student, teacher = models
    teacher.prompts = {"query": "the small "}
    collator = OTDistillationDataCollator.for_models(student, teacher, prompts={"source": "a big "})
    features, _ = BaseTrainer.collect_features(None, collator([{"source": "goat", "translation": "mbuzi"}]))
    assert torch.equal(features[0]["input_ids"], teacher.preprocess(["a big goat"])["input_ids"])
    assert torch.equal(features[1]["input_ids"], student.preprocess(["mbuzi"])["input_ids"])


def test_an_empty_query_prompt_stands_before_the_default_prompt(models):
    student, _ = models  # as `encode_query` has it
    student.prompts, student.default_prompt_name = {"query": "", "passage": "big "}, "passage"
    assert query_prompt(student) is None
    student.prompts = {"passage": "big "}
    assert query_prompt(student) == "big "


@pytest.mark.parametrize("bad", [None, "", "   ", 7])
def test_a_missing_text_stops_naming_the_column_and_the_other_side(models, bad):  # trap 17
    collator = OTDistillationDataCollator.for_models(*models)
    with pytest.raises(InputError, match=r"bitext/x, field 'translation'.*the goat"):
        collator([{"source": "the goat", "translation": bad, "dataset_name": "bitext/x"}])


def test_the_training_length_cuts_both_sides(models):
    student, teacher = models
    collator = OTDistillationDataCollator.for_models(student, teacher, max_length=4)
    batch = collator([{"source": "the " * 9, "translation": "mbuzi " * 9}])
    assert batch["source_input_ids"].shape == batch["translation_input_ids"].shape == (1, 4)


def test_tokenizations_are_compared_by_what_they_do(models, tmp_path):
    student, teacher = models
    assert not same_tokenization(student, teacher)
    twin = tiny_models.dense(tmp_path / "twin", tiny_models.ENGLISH, seed=9)
    assert same_tokenization(twin, teacher)
    twin.prompts = {"query": "query: "}
    assert not same_tokenization(twin, teacher)
