"""Publishing: the round trip through a server that speaks the Hub's API."""

from __future__ import annotations

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
from hub_server import TOKEN, Hub
from published_runs import TEXTS, write_run
from sentence_transformers import MultiVectorEncoder, SentenceTransformer

from hf_optical.publishing.layout import check_layout
from hf_optical.publishing.publish import Publication, build

_PATIENCE = 800  # seconds: importing alone takes minutes on a busy machine
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
    late = write_run(tmp_path_factory.mktemp("late"), tiny_models.late(tmp_path_factory.mktemp("made")))
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
    assert "not a Hub id" in first[6]
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
