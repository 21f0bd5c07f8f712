"""The user's cache of document vectors: one for training, evaluation and search, bounded, and easy to switch off."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import tiny_models
from script_modules import argv, call, load_recipe
from tiny_runs import write_run

from hf_optical.configuration.parsing import run
from hf_optical.evaluation import document_cache
from hf_optical.evaluation.default_cache import default_cache
from hf_optical.evaluation.document_cache import DocumentCache
from hf_optical.search import MemoryIndex


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """A cache folder in place of the user's."""
    monkeypatch.setenv("HF_OPTICAL_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "documents"


def entries(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.is_dir()}


def _command(name: str, flags: dict[str, str]) -> None:
    recipe = load_recipe(name)
    with pytest.raises(SystemExit) as stop:
        run(recipe.main, getattr(recipe, f"{name.title()}Config"), argv(flags))
    assert stop.value.code == 0


def test_training_evaluation_and_search_encode_a_collection_once(place, tmp_path, monkeypatch, capsys):
    flags = write_run(tmp_path) | {"max_steps": "2", "held_out": "0"}
    assert call(load_recipe("train"), flags) == 0
    after_training = entries(place)
    assert after_training

    encoded = []
    original = document_cache.encode_blocks
    monkeypatch.setattr(document_cache, "encode_blocks", lambda *a, **k: encoded.append(a[2:]) or original(*a, **k))
    monkeypatch.setattr("hf_optical.search.index.encode_texts", lambda *a, **k: encoded.append(a[2:]))
    model = f"{flags['output_dir']}/model"
    flags_of_evaluation = {"model": model, "document_model": flags["teacher"], "eval": flags["eval"]}
    _command("evaluate", flags_of_evaluation | {"output_dir": str(tmp_path / "ev")})
    corpus = next(Path(flags["eval"]).glob("corpus*"))
    search = {"teacher": flags["teacher"], "documents": str(corpus), "query": "goat"}
    _command("search", search)
    assert not encoded and entries(place) == after_training
    _command("search", search | {"titles": "true"})  # the set has no titles
    assert not encoded
    shown = capsys.readouterr().out
    assert "documents added" in shown


def test_what_was_not_used_for_longest_is_deleted_above_the_limit(tmp_path, monkeypatch):
    model, folder = tiny_models.dense(tmp_path / "model"), tmp_path / "cache"
    cache = DocumentCache(folder)
    for text in ("the goat", "a river", "the house"):
        cache.vectors(model, [text])
    first, second, third = sorted(entries(folder), key=lambda name: (folder / name).stat().st_mtime_ns)
    for age, name in ((300, first), (200, second), (100, third)):
        moment = (folder / name).stat().st_mtime - age
        os.utime(folder / name, (moment, moment))
    DocumentCache(folder).vectors(model, ["the goat"])  # used again: now the newest
    size = sum(file.stat().st_size for file in (folder / first).iterdir())
    bounded = DocumentCache(folder, most_bytes=3 * size)
    bounded.vectors(model, ["rain"])
    assert second not in entries(folder) and {first, third} < entries(folder)
    DocumentCache(folder, most_bytes=1).vectors(model, ["dog"])
    assert len(entries(folder)) == 1  # what was just made stays, however large
    assert not list(folder.glob(".deleted*")) and not (folder / f"{second}.lock").exists()


def test_the_cache_can_be_switched_off(place, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_OPTICAL_CACHE", "off")
    assert default_cache().folder is None
    monkeypatch.delenv("HF_OPTICAL_CACHE")
    monkeypatch.setattr("hf_optical.evaluation.default_cache.HF_HOME", str(tmp_path / "home"))
    assert default_cache().folder == tmp_path / "home" / "hf_optical" / "documents"


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HF_OPTICAL_CACHE", str(tmp_path / "file"))
    assert default_cache().folder is None
    assert "cannot be written" in caplog.text and "HF_OPTICAL_CACHE" in caplog.text


@pytest.mark.parametrize("interaction", ["dense", "maxsim"])
def test_an_index_from_the_cache_is_the_index_without_it(tmp_path, interaction):
    model, texts = tiny_models.dense(tmp_path / "model"), ["the goat sleeps", "a red house", "rain near the river"]
    plain = MemoryIndex(model, interaction=interaction)
    plain.add(["a", "b", "c"], texts)
    for _ in range(2):
        index = MemoryIndex(model, interaction=interaction, cache=DocumentCache(tmp_path / "cache"))
        assert index.add(["a", "b", "c"], texts) == 3
        assert index.add(["b", "d"], ["a red house", "dog"]) == 1
        for mine, theirs in zip(index.query(["goat", "house"]), plain.query(["goat", "house"]), strict=True):
            scores = {hit.id: hit.score for hit in mine}
            np.testing.assert_allclose([scores[hit.id] for hit in theirs], [hit.score for hit in theirs], rtol=1e-5)
