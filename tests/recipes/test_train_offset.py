"""Runs whose student gets an offset as its last layer."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from script_modules import call
from sentence_transformers import SentenceTransformer
from tiny_runs import write_run


@pytest.fixture
def workplace(tmp_path):
    return write_run(tmp_path, pairs=300, max_steps="4", measure_start="false")


def results(flags) -> dict:
    return json.loads((Path(flags["output_dir"]) / "results.json").read_text())


def saved(flags) -> SentenceTransformer:
    return SentenceTransformer(str(Path(flags["output_dir"]) / "model"), device="cpu")


def test_auto_takes_what_held_out_pairs_find_best(recipe, workplace):
    assert call(recipe, {**workplace, "offset": "auto"}) == 0
    found = results(workplace)
    offset = found["offset"]
    scores = offset["held_out"]
    assert scores[offset["taken"]] == max(scores.values()) and len(scores) == 3
    parts = [entry["after"]["ndcg@10"] for entry in found["held_out"]["evaluations"]]
    assert sum(parts) / len(parts) == pytest.approx(scores[offset["taken"]], abs=2e-3)
    plain = 3  # transformer, pooling, normalisation
    assert len(saved(workplace)) == plain + (2 if offset["taken"] != "none" else 0)


def test_a_named_offset_is_a_last_layer(recipe, workplace):
    assert call(recipe, {**workplace, "offset": "query"}) == 0
    assert results(workplace)["offset"]["taken"] == "query"
    names = [type(module).__name__ for module in saved(workplace)]
    assert names == ["Transformer", "Pooling", "Normalize", "Dense", "Normalize"]


def test_none_changes_nothing(recipe, workplace):
    assert call(recipe, workplace) == 0
    assert results(workplace)["offset"] is None and len(saved(workplace)) == 3


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"offset": "all"}, "none, query, residual, auto"),
        ({"offset": "auto", "held_out": "0"}, "set held_out above 0"),
        ({"offset": "query", "adapter": "lora"}, "share one last layer"),
        ({"offset": "query", "index": "student"}, "would move the documents too"),
    ],
)
def test_what_cannot_be_is_refused(recipe, workplace, flags, words, capsys):
    assert call(recipe, {**workplace, **flags}) != 0
    assert words in capsys.readouterr().err
