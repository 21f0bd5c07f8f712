"""The recipe with a teacher cache: the figures are those without, and a run goes on with the cache it had."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny_models
from script_modules import call, load_recipe
from tiny_runs import write_run

from hf_optical.teacher_cache import filling


@pytest.fixture(scope="module")
def recipe():
    return load_recipe("train")


@pytest.fixture
def flags(tmp_path):
    quiet = {"measure_start": "False", "check_data": "False", "watch": "False", "logging_steps": "1"}
    return write_run(tmp_path, max_steps="40", learning_rate="1e-3", save_steps="500", **quiet)


def results(folder):
    return json.loads((Path(folder) / "results.json").read_text())


def test_forty_steps_with_and_without_give_the_same_figures(recipe, flags, tmp_path):
    kept = tmp_path / "folder" / "teacher_cache"  # named, it stays wherever it is
    for name, option in (("online", "none"), ("auto", "auto"), ("folder", str(kept))):
        assert call(recipe, {**flags, "output_dir": str(tmp_path / name), "teacher_cache": option}) == 0
    online, auto, folder = (results(tmp_path / name) for name in ("online", "auto", "folder"))
    assert "teacher_cache" not in online
    assert auto["teacher_cache"]["digest"] == folder["teacher_cache"]["digest"]
    assert auto["teacher_cache"]["texts"] == len(set(tiny_models.bitext(40)["source"]))
    assert not (tmp_path / "auto" / "teacher_cache").exists()  # the run is finished
    assert (kept / "manifest.json").is_file()
    losses = [[log["loss"] for log in one["history"] if "loss" in log] for one in (online, auto, folder)]
    assert len(losses[0]) == 40 and losses[1] == losses[2]
    assert losses[1] == pytest.approx(losses[0], rel=5e-3, abs=1e-3)
    scores = [one["evaluations"][0]["after"] for one in (online, auto, folder)]
    assert scores[1] == scores[2] and all(
        scores[1][name] == pytest.approx(scores[0][name], abs=0.02) for name in scores[0]
    )


def test_a_short_run_makes_none(recipe, flags):
    assert call(recipe, {**flags, "max_steps": "3", "keep_checkpoints": "True"}) == 0
    assert not (Path(flags["output_dir"]) / "teacher_cache").exists()
    assert "teacher_cache" not in results(flags["output_dir"])


def test_an_interrupted_run_is_not_resumed_with_another_cache(recipe, flags, tmp_path, monkeypatch, capsys):
    from hf_optical.training.trainer import OTDistillationTrainer

    step = OTDistillationTrainer.training_step

    def interrupted(self, *args, **options):
        if self.state.global_step == 4:
            raise KeyboardInterrupt
        return step(self, *args, **options)

    cached = {**flags, "max_steps": "6", "save_steps": "2", "teacher_cache": str(tmp_path / "kept")}
    assert call(recipe, {**cached, "output_dir": str(tmp_path / "whole")}) == 0
    with monkeypatch.context() as patch:
        patch.setattr(OTDistillationTrainer, "training_step", interrupted)
        assert call(recipe, cached) == 130
    capsys.readouterr()
    other = {**cached, "teacher_cache": str(tmp_path / "other"), "teacher_cache_dtype": "int8"}
    assert call(recipe, other) == 2 and "other options: teacher_cache" in capsys.readouterr().err
    assert call(recipe, cached) == 0  # from another place would do too: what it holds is compared
    from safetensors.torch import load_file

    weights = [load_file(place / "model" / "model.safetensors") for place in (tmp_path / "whole", tmp_path / "out")]
    assert all(weights[0][name].equal(value) for name, value in weights[1].items())


def test_a_damaged_or_foreign_cache_stops_the_run(recipe, flags, tmp_path, capsys):
    cached = {**flags, "max_steps": "2", "teacher_cache": str(tmp_path / "kept")}
    assert call(recipe, cached) == 0
    capsys.readouterr()
    assert call(recipe, {**cached, "max_length": "16", "output_dir": str(tmp_path / "b")}) == 2
    assert "max_length (here 32, asked for 16)" in capsys.readouterr().err
    shard = next((tmp_path / "kept").glob("shard-*"))
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    assert call(recipe, {**cached, "output_dir": str(tmp_path / "c")}) == 2
    said = capsys.readouterr().err
    assert shard.name in said and "remove this file" in said
    shard.unlink()
    assert call(recipe, {**cached, "output_dir": str(tmp_path / "c")}) == 0


def test_a_short_disk_trains_online(recipe, flags, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(filling, "SPARE_BYTES", 1 << 62)
    assert call(recipe, {**flags, "max_steps": "2", "teacher_cache": str(tmp_path / "kept")}) == 0
    assert "(online)" in caplog.text and not (tmp_path / "kept").exists()
    assert "teacher_cache" not in results(flags["output_dir"])


@pytest.mark.parametrize(("option", "value"), [("teacher_cache", " "), ("teacher_cache_dtype", "float8")])
def test_bad_options_are_named(recipe, flags, option, value, capsys):
    assert call(recipe, {**flags, option: value}) == 2
    assert option in capsys.readouterr().err
