from __future__ import annotations

import logging

import numpy as np
import pytest
import tiny_models
import torch
from script_modules import RECIPES, load_script
from tiny_sets import write_retrieval_set

from hf_optical.adapters import LanguageAdapters, load_all
from hf_optical.adapters.query_encoder import query_encoder
from hf_optical.configuration.parsing import parse
from hf_optical.data.languages import UnknownLanguageError
from hf_optical.errors import InputError

TEXTS = ["the goat sleeps", "a dog runs"]


@pytest.fixture
def repository(tmp_path):
    """A base with one adapter that does something."""
    adapters = LanguageAdapters(tiny_models.dense(tmp_path, tiny_models.ENGLISH))
    adapters.add("swh_Latn", r=2)
    torch.manual_seed(3)
    for name, values in adapters.model.named_parameters():
        if "lora_B" in name:
            values.data.normal_()
    adapters.save(tmp_path / "model")
    return tmp_path / "model"


def test_the_adapter_reads_as_it_does_in_a_mixed_batch(repository):
    plain = query_encoder(repository, "sw").encode_query(TEXTS)
    mixed = load_all(repository).encode_query(TEXTS, languages="swh_Latn")
    base = query_encoder(repository).encode_query(TEXTS)
    assert np.abs(plain - np.asarray(mixed)).max() < 1e-6
    assert np.abs(plain - base).max() > 1e-3


def test_paths_in_the_home_folder_are_written_and_read_there(repository, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    load_all("~/model").save("~/copy")
    assert (tmp_path / "copy" / "adapters.json").is_file() and not (tmp_path / "~").exists()
    expected = query_encoder(repository, "sw").encode_query(TEXTS)
    assert np.array_equal(query_encoder("~/copy", "sw").encode_query(TEXTS), expected)


def test_the_base_reads_when_nothing_is_chosen_and_says_so(repository, caplog):
    with caplog.at_level(logging.WARNING):
        query_encoder(repository)
    assert "swh_Latn; none is used" in caplog.text


def test_a_language_without_an_adapter(repository):
    with pytest.raises(UnknownLanguageError, match="no adapter for som_Latn; there are: swh_Latn"):
        query_encoder(repository, "so")
    base = query_encoder(repository).encode_query(TEXTS)
    assert np.array_equal(query_encoder(repository, "so", required=False).encode_query(TEXTS), base)


def test_evaluate_scores_the_adapter_that_is_named(repository, tmp_path):
    recipe = load_script(RECIPES / "evaluate.py")
    tiny_models.dense(tmp_path, tiny_models.ENGLISH).save_pretrained(str(tmp_path / "teacher"))
    words = [
        f"the {a} {v} near a {b}"
        for a in ("goat", "dog", "child")
        for v in ("sleeps", "runs")
        for b in ("tree", "river")
    ]
    write_retrieval_set(tmp_path / "eval", {"en": words}, {"sw": words[::-1]})
    flags = ["--model", str(repository), "--eval", str(tmp_path / "eval"), "--output_dir", str(tmp_path / "out")]
    with pytest.raises(InputError, match="encodes queries, not documents"):
        recipe.main(parse(recipe.EvaluateConfig, [*flags, "--adapter", "sw"]))
    flags += ["--document_model", str(tmp_path / "teacher"), "--figures", "no"]
    recipe.main(parse(recipe.EvaluateConfig, flags))
    base = (tmp_path / "out" / "per_query.json").read_text()
    recipe.main(parse(recipe.EvaluateConfig, [*flags, "--adapter", "sw"]))
    assert (tmp_path / "out" / "per_query.json").read_text() != base
