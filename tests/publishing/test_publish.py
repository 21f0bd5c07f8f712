"""Publishing: what is built in a folder."""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_models
from published_runs import RESULTS, TEXTS, write_run
from safetensors.torch import load_file, save_file
from script_modules import load_recipe
from sentence_transformers import SentenceTransformer

from hf_optical.errors import HFOpticalError, InputError, NonFiniteError
from hf_optical.publishing.layout import publication_folder
from hf_optical.publishing.publish import Publication, build
from hf_optical.results.files import portable


def test_a_built_folder_holds_only_the_models_own_modules(dense_run, tmp_path):
    folder = build(Publication(dense_run, "me/tiny", licence="apache-2.0"), tmp_path / "out")
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {"model.safetensors", "modules.json", "README.md", "results.json", "provenance.json"} <= names
    assert {"adapters/swh_Latn/adapter_config.json", "adapters/swh_Latn/adapter_model.safetensors"} <= names
    assert not any(name.endswith((".bin", ".py", ".pt")) for name in names)
    config = json.loads((folder / "adapters/swh_Latn/adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "me/tiny"
    provenance = json.loads((folder / "provenance.json").read_text())
    assert set(provenance["files"]) == names - {"provenance.json"}
    assert provenance["teacher"]["hub_id"] == "owner/english"
    assert provenance["data"][0]["sha256"] == "0" * 64
    card = (folder / "README.md").read_text()
    assert "adapters/swh_Latn" in card and "goat" not in card and "license: apache-2.0" in card
    model = SentenceTransformer(str(folder), device="cpu")
    np.testing.assert_array_equal(
        model.encode(TEXTS), SentenceTransformer(str(dense_run / "model"), device="cpu").encode(TEXTS)
    )


def test_the_cards_python_runs(dense_run, tmp_path, capsys):
    folder = build(Publication(dense_run, "me/tiny"), tmp_path / "out")
    blocks = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.S)
    assert len(blocks) == 1  # the model with its adapter
    code = "".join(blocks).replace('"me/tiny"', repr(str(folder)))
    names: dict = {}
    exec(code.replace('"owner/english"', repr(str(dense_run / "model"))), names)
    assert capsys.readouterr().out.startswith("tensor([[")
    adapted = names["student"].encode(TEXTS)
    assert np.abs(adapted - names["teacher"].encode(TEXTS)).max() > 1e-3  # the adapter reads


def test_building_again_replaces_its_own_folder_and_no_other(dense_run, tmp_path):
    folder = build(Publication(dense_run, "me/tiny"), tmp_path / "out")
    (folder / "stale.json").write_text("{}")
    build(Publication(dense_run, "me/tiny"), folder)
    assert not (folder / "stale.json").exists()
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").write_text("x")
    with pytest.raises(InputError, match="did not write"):
        build(Publication(dense_run, "me/tiny"), mine)
    assert (mine / "thesis.txt").read_text() == "x"


def test_trimming_is_published_with_its_proof(tmp_path):
    run = write_run(tmp_path / "run", tiny_models.dense(tmp_path / "made"))
    folder = build(Publication(run, "me/tiny", trim_texts=TEXTS), tmp_path / "out")
    results = json.loads((folder / "results.json").read_text())
    assert results["trimming"]["identical_ids"] == results["trimming"]["covered"] == 2
    assert results["trimming"]["rows_after"] < results["trimming"]["rows_before"]
    assert "Vocabulary trimmed" in (folder / "README.md").read_text()
    whole, small = SentenceTransformer(str(run / "model"), device="cpu"), SentenceTransformer(str(folder), device="cpu")
    np.testing.assert_array_equal(whole.encode(TEXTS), small.encode(TEXTS))


def test_trimming_says_what_it_does_to_retrieval(tmp_path):
    from hf_optical.data.retrieval import read_retrieval_set
    from hf_optical.evaluation.retrieval import evaluate_retrieval

    run = write_run(tmp_path / "run", tiny_models.dense(tmp_path / "made"))
    teacher = tmp_path / "teacher"
    tiny_models.dense(tmp_path / "other").save_pretrained(str(teacher))
    place = _retrieval_set(tmp_path / "s")
    command = f"recipes/train.py --teacher {portable(str(teacher))} --seed 0"
    results = {**RESULTS, "config": {**RESULTS["config"], "teacher": str(teacher)}, "command": command}
    (run / "results.json").write_text(json.dumps(results))
    options = {"trim_texts": TEXTS[:1], "trim_evaluations": [place], "teacher_id": "owner/english"}
    folder = build(Publication(run, "me/tiny", **options), tmp_path / "out")
    (row,) = json.loads((folder / "results.json").read_text())["trimming"]["retrieval"]
    item = read_retrieval_set(place, "swh_Latn")
    documents = SentenceTransformer(str(teacher), device="cpu")
    for name, each in (("whole", run / "model"), ("trimmed", folder)):
        scores = evaluate_retrieval(SentenceTransformer(str(each), device="cpu"), item, documents)
        assert row[name] == pytest.approx(scores.metrics["ndcg@10"])
    assert row["n"] == len(item.queries) and row["difference"] == pytest.approx(row["trimmed"] - row["whole"])
    card = (folder / "README.md").read_text()
    assert f"| s | Swahili | {row['n']} | {row['whole']:.3f} | {row['trimmed']:.3f} |" in card
    assert "python recipes/train.py --teacher owner/english --seed 0" in card
    for kind in ("queries.{}.jsonl", "qrels.{}.trec"):
        (place / kind.format("sw")).rename(place / kind.format("so"))
    with pytest.raises(InputError, match="no language that the run was measured in"):
        build(Publication(run, "me/tiny", **options), tmp_path / "out")


def _retrieval_set(place: Path) -> Path:
    """Documents of one to three words, queries of which some have pieces that trimming removes."""
    place.mkdir()
    words = ["goat", "tree", "child", "house", "river", "dog"]
    with (place / "corpus.en.jsonl").open("w") as stream:
        for i, word in enumerate(words):
            stream.write(json.dumps({"_id": f"d{i}", "text": f"the {word} {words[i - 1]}"}) + "\n")
    with (place / "queries.sw.jsonl").open("w") as stream:
        for i, word in enumerate(words):
            stream.write(json.dumps({"_id": f"q{i}", "text": f"a {word}"}) + "\n")
    (place / "qrels.sw.trec").write_text("".join(f"q{i} 0 d{i} 1\n" for i in range(len(words))))
    return place


def _broken(source: Path, target: Path) -> Path:
    shutil.copytree(source, target)
    return target


def test_what_cannot_be_trusted_is_refused(dense_run, tmp_path):
    def refused(name, error, match, breakage):
        run = _broken(dense_run, tmp_path / name)
        breakage(run)
        with pytest.raises(error, match=match):
            build(Publication(run, "me/tiny"), tmp_path / "out")
        assert not (tmp_path / "out").exists() and not (tmp_path / "out.partial").exists()

    def poison(run):
        weights = load_file(run / "model" / "model.safetensors")
        name = sorted(weights)[0]
        weights[name].view(-1)[0] = float("nan")
        save_file(weights, run / "model" / "model.safetensors", metadata={"format": "pt"})

    def modules(run):
        path = run / "model" / "modules.json"
        path.write_text(path.read_text().replace("sentence_transformers.", "hf_optical.", 1))

    def remote(run):
        path = run / "model" / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "auto_map": {"AutoModel": "x.Y"}}))

    refused("nan", NonFiniteError, "has NaN or infinity", poison)
    refused("modules", InputError, "would need remote code", modules)
    refused("auto_map", InputError, "remote code", remote)
    refused("bin", InputError, ".bin files can run code", lambda run: (run / "model" / "x.bin").write_bytes(b"x"))
    refused("py", InputError, "a .py file", lambda run: (run / "model" / "modeling.py").write_text("x"))
    refused("cut", InputError, "whole safetensors", lambda run: os.truncate(run / "model" / "model.safetensors", 900))
    refused(
        "half", InputError, "not complete", lambda run: (run / "adapters/swh_Latn/adapter_model.safetensors").unlink()
    )
    refused("unfinished", InputError, "not a finished run", lambda run: (run / "results.json").unlink())
    refused("no model", InputError, "no sentence-transformers model", lambda run: shutil.rmtree(run / "model"))


def test_a_folder_that_cannot_be_made_is_reported_as_such(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("hf_optical.places.whole.tempfile.mkdtemp", full)
    with pytest.raises(HFOpticalError, match="the disk is full"), publication_folder(tmp_path / "out"):
        pass
    monkeypatch.undo()
    (tmp_path / "file").write_text("x")
    with pytest.raises(OSError, match="file"), publication_folder(tmp_path / "file" / "out"):
        pass


def test_a_full_disk_leaves_nothing_behind(dense_run, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("hf_optical.publishing.layout.shutil.copyfile", full)
    with pytest.raises(HFOpticalError, match="the disk is full"):
        build(Publication(dense_run, "me/tiny"), tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_published_options_name_no_folder_of_this_machine(dense_run, tmp_path):
    path = dense_run / "results.json"
    results = json.loads(path.read_text())
    pairs, teacher = tmp_path / "pairs.tsv", tmp_path / "teacher"
    options = {"teacher": str(teacher), "bitext": [f"swh_Latn={pairs}"], "learning_rate": 1e-4}
    path.write_text(json.dumps({**results, "config": {**results["config"], **options}}))
    folder = build(Publication(dense_run, "me/tiny"), tmp_path / "out")
    published = json.loads((folder / "results.json").read_text())["config"]
    assert str(tmp_path) not in json.dumps(published)
    assert published["teacher"] == "teacher" and published["bitext"] == ["swh_Latn=pairs.tsv"]
    assert published["learning_rate"] == 1e-4


def test_the_recipe_builds_and_sends_nothing(dense_run, tmp_path, capsys):
    recipe = load_recipe("publish")
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS))
    texts = str(tmp_path / "texts.txt")
    recipe.main(recipe.PublishConfig(run=str(dense_run), dry_run=str(tmp_path / "out"), texts=texts, limits=[texts]))
    card = (tmp_path / "out" / "README.md").read_text()
    assert "tokens per word, Swahili | 1.00, over 12 words" in card
    assert TEXTS[0] in card  # as a limit, in the publisher's own words
    printed = capsys.readouterr().out
    assert "Nothing was sent" in printed
    sent = shlex.split(printed.splitlines()[-1])  # the card lacks a name and a licence
    assert sent[:2] == ["hf-optical", "publish"] and {"--repo_id", "--license", "--texts", "--limits"} <= set(sent)
    assert "--dry_run" not in sent
    with pytest.raises(InputError, match="place to publish"):
        recipe.main(recipe.PublishConfig(run=str(dense_run)))


def test_a_licence_that_no_row_names_is_asked_for_and_can_be_stated(dense_run, tmp_path, capsys):
    recipe = load_recipe("publish")
    config = recipe.PublishConfig(run=str(dense_run), dry_run=str(tmp_path / "out"))
    recipe.main(config)
    assert "The card says of pairs.jsonl that the licence is not stated" in capsys.readouterr().out
    assert "not stated" in (tmp_path / "out" / "README.md").read_text()
    recipe.main(replace(config, data_license="CC-BY-NC-4.0"))
    printed = capsys.readouterr().out
    card = (tmp_path / "out" / "README.md").read_text()
    assert "is not stated" not in printed and "--data_license CC-BY-NC-4.0" in printed, "the sending command repeats it"
    assert "| CC-BY-NC-4.0 24 |" in card and "non-commercial licence** (CC-BY-NC-4.0: 24 rows)" in card


def test_the_recipe_builds_the_data_set_of_a_teacher_cache(dense_run, tmp_path, capsys):
    from hf_optical.teacher_cache import CachedTeacher

    recipe = load_recipe("publish")
    teacher = tiny_models.dense(tmp_path / "made")
    CachedTeacher.for_teacher(teacher, tmp_path / "cache").fill(TEXTS, show_progress=False)
    given = {"teacher_cache": str(tmp_path / "cache"), "dry_run": str(tmp_path / "set"), "license": "cc-by-4.0"}
    for _ in range(2):  # the second replaces the first
        recipe.main(recipe.PublishConfig(**given))
    assert "Nothing was sent" in capsys.readouterr().out
    assert "license: cc-by-4.0" in (tmp_path / "set" / "README.md").read_text()
    assert CachedTeacher.from_dataset(str(tmp_path / "set"), tmp_path / "back").manifest.texts == len(TEXTS)
    for change, problem in (
        ({"license": None}, "license"),
        ({"limits": ["lines.txt"]}, "'limits': does not apply to a teacher cache"),
        ({"run": str(dense_run)}, "one thing"),
        ({"teacher_cache": None}, "one thing"),
        ({"dry_run": str(tmp_path / "cache")}, "did not write"),
    ):
        with pytest.raises(InputError, match=problem):
            recipe.main(recipe.PublishConfig(**{**given, **change}))


def test_a_teacher_cache_is_sent_from_the_disk_that_holds_it(tmp_path, monkeypatch, capsys):
    from hf_optical import teacher_cache

    recipe = load_recipe("publish")
    teacher_cache.CachedTeacher.for_teacher(tiny_models.dense(tmp_path / "made"), tmp_path / "cache").fill(
        TEXTS, show_progress=False
    )
    sent = []

    def publish(folder, repo_id, **options):
        assert (folder / "README.md").is_file() and folder.is_relative_to(tmp_path)
        sent.append((repo_id, options))
        return "there"

    monkeypatch.setattr(teacher_cache, "publish", publish, raising=False)
    recipe.main(recipe.PublishConfig(teacher_cache=str(tmp_path / "cache"), repo_id="me/cache", license="mit"))
    assert sent == [("me/cache", {"private": True, "revision": None})] and "there" in capsys.readouterr().out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "made"]


def test_a_run_on_an_index_alone_is_published_without_a_teacher(dense_run, tmp_path, monkeypatch):
    results = {**RESULTS, "config": {**RESULTS["config"], "teacher": None}, "teacher": {"index": "documents"}}
    run_folder = tmp_path / "run"
    shutil.copytree(dense_run, run_folder)
    (run_folder / "results.json").write_text(json.dumps(results))
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS))
    texts = str(tmp_path / "texts.txt")
    cards = []

    def push(folder, *_, **__):
        cards.append((folder / "README.md").read_text())
        return "there"

    recipe = load_recipe("publish")
    monkeypatch.setattr("hf_optical.commands.publish.push", push)
    config = recipe.PublishConfig(run=str(run_folder), repo_id="me/tiny", texts=texts)
    recipe.main(config)
    assert "tokens per word, Swahili | 1.00, over 12 words" in cards[0] and "the index `documents`" in cards[0]
    place = _retrieval_set(tmp_path / "s")
    with pytest.raises(InputError, match="trained on the vectors of an index alone"):
        recipe.main(replace(config, trim=[texts], trim_eval=[str(place)]))


def test_the_recipe_asks_for_the_id_of_a_teacher_that_was_a_folder(dense_run, tmp_path):
    results = {**RESULTS, "config": {**RESULTS["config"], "teacher": "model"}, "teacher": {"folder": "model"}}
    run_folder = tmp_path / "run"
    shutil.copytree(dense_run, run_folder)
    (run_folder / "results.json").write_text(json.dumps(results))
    recipe = load_recipe("publish")
    config = recipe.PublishConfig(run=str(run_folder), repo_id="me/tiny")
    with pytest.raises(InputError, match=r"folder 'model'.*--teacher_id owner/name"):
        recipe.main(config)
    recipe.main(replace(config, dry_run=str(tmp_path / "site")))
    card = (tmp_path / "site" / "README.md").read_text()
    assert "base_model" not in card and "huggingface.co/model" not in card
