"""Runs that hold pairs out: never worse than their start, with or without a retrieval set."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from script_modules import call
from tiny_runs import write_run

from hf_optical.configuration.parsing import parse
from hf_optical.encoders.models import load_encoder
from hf_optical.runs.defaults import default_steps


@pytest.fixture
def workplace(tmp_path):
    return write_run(tmp_path, pairs=300, max_steps="30", eval_steps="5", learning_rate="1e-2")


def results(flags) -> dict:
    return json.loads((Path(flags["output_dir"]) / "results.json").read_text())


def state(folder: Path) -> dict:
    return load_encoder(str(folder), device="cpu").state_dict()


def test_a_run_without_a_retrieval_set_has_held_out_numbers_and_a_curve(recipe, workplace, capsys):
    del workplace["eval"]
    assert call(recipe, workplace) == 0
    found = results(workplace)
    assert found["evaluations"] == [] and 0 < found["temperature"] != 0.05
    held = found["held_out"]
    assert held["pairs"]["swh_Latn"] == 50
    for entry in held["evaluations"]:
        assert {"raw", "before", "after", "ceiling", "tests"} <= set(entry)
        assert entry["raw"] == entry["before"]  # a copy is its teacher
        assert "after against before" in entry["tests"]
    choice = held["choice"]
    logged = {one["step"]: one["held_out_pairs"] for one in found["history"] if "held_out_pairs" in one}
    assert logged == {one["step"]: one["value"] for one in choice["curve"]}, "what dashboards show is not the curve"
    assert choice["curve"][0]["step"] == 0 and choice["best"] == max(one["value"] for one in choice["curve"])
    after = sum(entry["after"]["ndcg@10"] for entry in held["evaluations"]) / len(held["evaluations"])
    assert after == pytest.approx(choice["best"], abs=1e-3), "what was saved is not the best step"
    assert choice["best"] > choice["untrained"]
    picture = (Path(workplace["output_dir"]) / "figures" / "training.svg").read_text()
    assert f"step {choice['best_step']} kept" in picture
    out = capsys.readouterr().out
    assert "50 pairs are held out" in out and choice["verdict"] in out
    assert not (Path(workplace["output_dir"]) / "held_out").exists()


def test_a_training_that_only_harms_ends_with_the_untrained_student(recipe, workplace):
    file = Path(workplace["bitext"])
    english = [line.partition("\t")[0] for line in file.read_text().splitlines()[1:]]
    file.write_text("en\tsw\n" + "".join(f"{text}\t{text}\n" for text in english))  # a copy reads it perfectly
    columns = {"source_field": "en", "translation_field": "sw"}
    flags = {**workplace, **columns, "learning_rate": "1", "objective": "nce", "eval_steps": "10"}
    assert call(recipe, flags) == 0
    choice = results(flags)["held_out"]["choice"]
    assert choice["best_step"] == 0 and "kept as it was before" in choice["verdict"]
    out = Path(flags["output_dir"])
    untrained, saved = state(out / "untrained"), state(out / "model")
    assert all((untrained[name] == value).all() for name, value in saved.items())


def test_an_interrupted_run_ends_like_a_whole_one(recipe, workplace, tmp_path, interrupted_after):
    flags = {**workplace, "save_steps": "4", "dropout": "0.1"}
    whole = {**flags, "output_dir": str(tmp_path / "whole")}
    assert call(recipe, whole) == 0
    with interrupted_after(11):
        assert call(recipe, flags) == 130
    assert call(recipe, flags) == 0
    one, other = results(whole), results(flags)
    assert one["held_out"]["choice"] == other["held_out"]["choice"]
    states = [state(Path(run["output_dir"]) / "model") for run in (whole, flags)]
    assert all((states[0][name] == value).all() for name, value in states[1].items())


def test_held_out_pairs_take_no_part_in_growing_the_student(recipe, workplace, tmp_path):
    flags = {**workplace, "student": "replace", "vocab_size": "200", "max_steps": "0"}
    assert call(recipe, {**flags, "held_out": "0", "output_dir": str(tmp_path / "all")}) == 0
    assert call(recipe, flags) == 0
    assert results(flags)["held_out"]["choice"] is None and results(flags)["pairs"] < 300
    assert results({"output_dir": str(tmp_path / "all")})["held_out"] is None
    states = [state(folder / "untrained") for folder in (Path(flags["output_dir"]), tmp_path / "all")]
    assert any(value.shape != states[1][name].shape or (states[1][name] != value).any()
               for name, value in states[0].items())  # fmt: skip


def test_adapters_are_validated_and_kept_too(recipe, workplace):
    flags = {**workplace, "adapter": "lora", "lora.rank": "2", "learning_rate": "2e-2"}
    assert call(recipe, flags) == 0
    held = results(flags)["held_out"]
    after = sum(entry["after"]["ndcg@10"] for entry in held["evaluations"]) / len(held["evaluations"])
    assert after == pytest.approx(held["choice"]["best"], abs=1e-3)


def test_steps_and_rate_follow_the_bitext_and_the_student(recipe, workplace):
    del workplace["max_steps"], workplace["learning_rate"]
    assert call(recipe, {**workplace, "patience": "2"}) == 0
    found = results(workplace)
    config = found["config"]
    assert config["max_steps"] == default_steps(found["pairs"], 4) == found["pairs"]
    assert config["learning_rate"] == 1e-4 and config["objective"] == "ot+rank"


def test_options(recipe):
    config = parse(recipe.TrainConfig, ["--teacher", "t", "--language", "sw", "--bitext", "b"])
    config.check()  # no retrieval set is needed
    assert config.share_held_out == 0.05
    config.context_window = 5
    assert config.share_held_out == 0.0
