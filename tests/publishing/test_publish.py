"""Publishing: what is built in a folder, and the round trip through a server that speaks the Hub's API."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tiny_models
import torch
from hub_server import TOKEN, Hub
from safetensors.torch import load_file, save_file
from script_modules import load_recipe
from sentence_transformers import MultiVectorEncoder, SentenceTransformer

from hf_optical.errors import HFOpticalError, InputError, NonFiniteError
from hf_optical.publishing.layout import check_layout
from hf_optical.publishing.publish import Publication, build

RESULTS = {
    "command": "recipes/train.py",
    "seed": 0,
    "config": {"teacher": "owner/english", "student": "copy", "language": "swh_Latn"},
    "data": [{"path": "pairs.jsonl", "rows": 24, "sha256": "0" * 64}],
    "evaluations": [
        {
            "set": "s",
            "language": "swh_Latn",
            "n": 2,
            "after": {"ndcg@10": 0.5, "mrr@10": 0.5, "recall@10": 1.0, "map": 0.5},
        }
    ],
    "pairs": 24,
}
_PATIENCE = 800  # seconds: importing alone takes minutes on a busy machine
TEXTS = ["the goat sleeps under the tree", "a child sees the red house"]


def _run(folder: Path, model) -> Path:
    """What train.py leaves."""
    model.save_pretrained(str(folder / "model"))
    (folder / "results.json").write_text(json.dumps(RESULTS))
    return folder


def _with_adapter(run: Path) -> None:
    """An adapter as peft writes it, with weights that are not zero."""
    from peft import LoraConfig, get_peft_model

    inner = SentenceTransformer(str(run / "model"), device="cpu").transformers_model
    torch.manual_seed(3)
    wrapped = get_peft_model(inner, LoraConfig(r=2, target_modules=["query", "value"], init_lora_weights=False))
    wrapped.save_pretrained(run / "adapters" / "swh_Latn")


@pytest.fixture(scope="module")
def dense_run(tmp_path_factory) -> Path:
    run = _run(tmp_path_factory.mktemp("run"), tiny_models.dense(tmp_path_factory.mktemp("made")))
    _with_adapter(run)
    return run


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
    assert len(blocks) == 2  # the model, and its adapter
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
    run = _run(tmp_path / "run", tiny_models.dense(tmp_path / "made"))
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

    run = _run(tmp_path / "run", tiny_models.dense(tmp_path / "made"))
    teacher = tmp_path / "teacher"
    tiny_models.dense(tmp_path / "other").save_pretrained(str(teacher))
    place = _retrieval_set(tmp_path / "s")
    results = {**RESULTS, "config": {**RESULTS["config"], "teacher": str(teacher)}}
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
    refused("half", InputError, "not whole", lambda run: (run / "adapters/swh_Latn/adapter_model.safetensors").unlink())
    refused("unfinished", InputError, "not a finished run", lambda run: (run / "results.json").unlink())
    refused("no model", InputError, "no sentence-transformers model", lambda run: shutil.rmtree(run / "model"))


def test_a_full_disk_leaves_nothing_behind(dense_run, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("hf_optical.publishing.layout.shutil.copyfile", full)
    with pytest.raises(HFOpticalError, match="the disk is full"):
        build(Publication(dense_run, "me/tiny"), tmp_path / "out")
    assert not list(tmp_path.iterdir())


def test_the_recipe_builds_and_sends_nothing(dense_run, tmp_path, capsys):
    recipe = load_recipe("publish")
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS))
    texts = str(tmp_path / "texts.txt")
    recipe.main(recipe.PublishConfig(run=str(dense_run), dry_run=str(tmp_path / "out"), texts=texts, limits=[texts]))
    card = (tmp_path / "out" / "README.md").read_text()
    assert "tokens per word, Swahili | 1.00, over 12 words" in card
    assert TEXTS[0] in card  # as a limit, in the publisher's own words
    assert "Nothing was sent" in capsys.readouterr().out
    with pytest.raises(InputError, match="where to publish"):
        recipe.main(recipe.PublishConfig(run=str(dense_run)))


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
        ({"limits": ["lines.txt"]}, "'limits': says nothing of a teacher cache"),
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


# The round trip: the unmodified client, in processes of their own, because it reads its settings when imported.

PUSH = """
import json, os, sys
from hf_optical.errors import HFOpticalError
from hf_optical.publishing.hub import push
for repo, folder, token, revision in json.loads(sys.argv[1]):
    os.environ["HF_TOKEN"] = token
    try:
        print("ok", push(folder, repo, revision=revision), flush=True)
    except HFOpticalError as error:
        print("error", error, flush=True)
"""

LOAD = """
import json, sys
sys.modules["hf_optical"] = None  # a clean environment: plain sentence-transformers
import numpy as np
from sentence_transformers import MultiVectorEncoder, SentenceTransformer
texts, out = json.loads(sys.argv[1]), sys.argv[2]
dense = SentenceTransformer("me/dense", device="cpu")
plain = dense.encode(texts)
late = MultiVectorEncoder("me/late", device="cpu").encode_query(texts)
dense.load_adapter("me/dense", adapter_name="swh_Latn", adapter_kwargs={"subfolder": "adapters/swh_Latn"})
np.savez(out, plain=plain, adapted=dense.encode(texts), **{f"late{i}": np.asarray(v) for i, v in enumerate(late)})
try:
    SentenceTransformer("me/dense", revision="nowhere", device="cpu")
except Exception as error:
    print(type(error).__name__, str(error)[:200])
"""


def _start(hub: Hub, home: Path, code: str, *arguments: str) -> subprocess.Popen:
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    environment |= {"HF_HOME": str(home), "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_TELEMETRY": "1"}
    environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[2])
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _push(hub: Hub, home: Path, *asked: tuple) -> list[str]:
    rows = [(repo, str(folder), token, revision) for repo, folder, token, revision in asked]
    process = _start(hub, home, PUSH, json.dumps(rows))
    out, err = process.communicate(timeout=_PATIENCE)
    assert process.returncode == 0, err
    return [line for line in out.splitlines() if line.startswith(("ok", "error"))]


@pytest.fixture(scope="module")
def hub():
    with Hub() as server:
        yield server


@pytest.fixture(scope="module")
def built(dense_run, tmp_path_factory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("built")
    late = _run(tmp_path_factory.mktemp("late"), tiny_models.late(tmp_path_factory.mktemp("made")))
    return {
        "dense": build(Publication(dense_run, "me/dense"), place / "dense"),
        "late": build(Publication(late, "me/late"), place / "late"),
    }


@pytest.mark.timeout(3 * _PATIENCE)
def test_round_trip_with_unmodified_clients(hub, built, tmp_path, dense_run):
    dense, late = built["dense"], built["late"]
    changed = tmp_path / "changed"
    shutil.copytree(dense, changed)
    shutil.rmtree(changed / "adapters")
    (changed / "README.md").write_text((dense / "README.md").read_text() + "\nMore.\n")
    files = json.loads((changed / "provenance.json").read_text())
    files["files"] = {name: sha for name, sha in files["files"].items() if not name.startswith("adapters")}
    (changed / "provenance.json").write_text(json.dumps(files))

    first = _push(
        hub,
        tmp_path / "home",
        ("me/dense", dense, "hf_wrong", None),
        ("other/dense", dense, TOKEN, None),
        ("me/dense", dense, TOKEN, None),
        ("me/dense", dense, TOKEN, None),
        ("me/late", late, TOKEN, None),
        ("me/dense", dense, TOKEN, "no-such-branch"),
        ("not a name", dense, TOKEN, None),
        ("me/dense", tmp_path, TOKEN, None),
    )
    assert [line.split()[0] for line in first] == ["error", "error", "ok", "ok", "ok", "error", "error", "error"]
    assert "does not know the token (401)" in first[0] and "HF_TOKEN" in first[0]
    assert "may not write here (403)" in first[1]
    assert first[2] == f"ok {hub.url}/me/dense"
    assert "there is no revision 'no-such-branch'" in first[5]
    assert "no Hub id" in first[6]
    assert "built for publication" in first[7]
    repository = hub.repositories["models", "me/dense"]
    assert repository.private
    assert len(repository.commits) == 2  # the empty one and the first push: the second had nothing to say
    assert len(hub.uploads()) == len({oid for oid, _ in hub.uploads()}) == 3  # two models and an adapter, once each

    out = tmp_path / "vectors.npz"
    loading = _start(hub, tmp_path / "clean", LOAD, json.dumps(TEXTS), str(out))
    said, err = loading.communicate(timeout=_PATIENCE)
    assert loading.returncode == 0, err
    got = np.load(out)
    local = SentenceTransformer(str(dense_run / "model"), device="cpu")
    np.testing.assert_allclose(got["plain"], local.encode(TEXTS), atol=1e-6)
    vectors = MultiVectorEncoder(str(late), device="cpu").encode_query(TEXTS)
    for i, expected in enumerate(vectors):
        np.testing.assert_allclose(got[f"late{i}"], np.asarray(expected), atol=1e-6)
    local.load_adapter(str(dense_run / "adapters" / "swh_Latn"), adapter_name="swh_Latn")
    np.testing.assert_allclose(got["adapted"], local.encode(TEXTS), atol=1e-6)
    assert np.abs(got["adapted"] - got["plain"]).max() > 1e-3  # the adapter does something
    assert re.search(r"nowhere|[Rr]evision", said)

    # A later publication: what changed is sent, what it no longer has goes, what the user put there stays.
    _, before = repository.files("main")
    repository.commit("main", {**before, "NOTES.md": before["README.md"]})
    uploads = len(hub.uploads())
    assert _push(hub, tmp_path / "home", ("me/dense", changed, TOKEN, None))[0].startswith("ok")
    after = repository.files("main")[1]
    assert set(before) - set(after) == {name for name in before if name.startswith("adapters/")}
    assert "NOTES.md" in after and after["README.md"] != before["README.md"]
    assert len(hub.uploads()) == uploads


@pytest.mark.timeout(3 * _PATIENCE)
def test_interrupted_upload_goes_on(built, tmp_path):
    dense = built["dense"]
    size = (dense / "model.safetensors").stat().st_size
    with Hub() as hub:
        hub.hold = size  # the model's upload hangs; the adapter's goes through
        process = _start(hub, tmp_path / "home", PUSH, json.dumps([("me/dense", str(dense), TOKEN, None)]))
        assert hub.held.wait(_PATIENCE)
        deadline = time.time() + _PATIENCE
        while not hub.uploads() and time.time() < deadline:
            time.sleep(0.05)
        process.kill()
        process.wait()
        arrived = hub.uploads()
        assert len(arrived) == 1 and arrived[0][1] < size
        assert len(hub.repositories["models", "me/dense"].commits) == 1  # nothing half-published is seen
        hub.hold = None
        hub.released.set()
        hub.full = True
        answers = _push(hub, tmp_path / "home", ("me/dense", dense, TOKEN, None))
        assert "no room for this (507)" in answers[0] and "run the same command" in answers[0]
        hub.full = False
        assert _push(hub, tmp_path / "home", ("me/dense", dense, TOKEN, None))[0].startswith("ok")
        assert [length for _, length in hub.uploads()[1:]] == [size]  # only what was missing
        files = hub.repositories["models", "me/dense"].files("main")[1]
        assert files["model.safetensors"][1] == size


@pytest.mark.timeout(3 * _PATIENCE)
def test_a_server_that_is_not_there(built, tmp_path):
    hub = Hub()
    hub.server_close()
    answers = _push(hub, tmp_path / "home", ("me/dense", built["dense"], TOKEN, None))
    assert "cannot be reached" in answers[0]


def test_layout_of_a_whole_repository_is_checked(built):
    check_layout(built["dense"])
