"""The recipe from its flags to its files."""

from __future__ import annotations

import json

import pytest
import tiny_models
from script_modules import RECIPES, load_recipe, results_of

from hf_optical.errors import InputError


@pytest.fixture(scope="module")
def recipe():
    return load_recipe("probe")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("probe")
    words = [*tiny_models.SWAHILI, *tiny_models.ENGLISH]
    for seed in (1, 2):
        tiny_models.dense(folder, words, layers=2, seed=seed).save_pretrained(str(folder / f"model{seed}"))
    lines = [
        "en\txx",
        *map("\t".join, zip(tiny_models.ENGLISH[:9], tiny_models.SWAHILI[:9], strict=True)),
        "river\tRiver",
    ]
    (folder / "lexicon.tsv").write_text("\n".join(lines))
    (folder / "texts.jsonl").write_text(
        '{"lang": "sw", "text": "mbuzi analala xyz"}\n{"lang": "en", "text": "the goat"}'
    )
    return folder


def run(recipe, output, *arguments):
    return results_of(recipe, recipe.ProbeConfig, output, *arguments)


def test_before_and_after_with_texts(recipe, folder, tmp_path, capsys):
    found = run(
        recipe, tmp_path / "out", "--model", folder / "model1", "--after", folder / "model2",
        "--lexicon", folder / "lexicon.tsv", "--texts", folder / "texts.jsonl",
    )  # fmt: skip
    assert set(found["probes"]) == {"before", "after"} and found["copies_left_out"] == 1
    assert len(found["probes"]["before"]["layers"]) == 3 and found["probes"]["before"]["pairs"] == 9
    assert found["probes"]["before"]["recommended_layer"] in (1, 2)
    assert {row["language"]: row["unknown_words"] for row in found["tokenizer"]} == {
        "swh_Latn": pytest.approx(1 / 3), "eng_Latn": 0.0,
    }  # fmt: skip
    assert (tmp_path / "out" / "figures" / "layer_probe.png").is_file()
    assert str(tmp_path) not in json.dumps(found)
    shown = capsys.readouterr().out
    assert "| output |" in shown and "swh_Latn" in shown


def test_the_tokenizer_alone(recipe, folder, tmp_path):
    found = run(recipe, tmp_path / "out", "--model", folder / "model1", "--texts", folder / "texts.jsonl")
    assert found["probes"] == {} and len(found["tokenizer"]) == 2


def test_what_is_missing_is_named(recipe, folder, tmp_path):
    with pytest.raises(InputError, match="field 'lexicon'"):
        run(recipe, tmp_path / "out", "--model", folder / "model1")
    with pytest.raises(InputError, match="field 'model'"):
        run(recipe, tmp_path / "out", "--lexicon", folder / "lexicon.tsv")
    with pytest.raises(InputError, match="exclude, include, first"):
        run(recipe, tmp_path / "out", "--model", "m", "--lexicon", "l", "--special_tokens", "last")


@pytest.mark.slow
def test_the_embedded_sample_without_arguments(recipe, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(RECIPES))
    found = run(recipe, tmp_path / "out")
    before, after = found["probes"]["before"], found["probes"]["after"]
    # Rows aligned in the bitext know the words; as grown from surface forms they do not.
    assert after["output"]["p1"] > before["output"]["p1"] + 0.3
    assert found["tokenizer"][0]["language"] == "swh_Latn"
