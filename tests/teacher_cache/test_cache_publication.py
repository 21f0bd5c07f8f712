"""A published cache: what is in it, and the round trip through a server that speaks the Hub's API."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import tiny_models
import torch
from hub_server import TOKEN, Hub
from huggingface_hub import DatasetCard

from hf_optical.errors import InputError
from hf_optical.places import waited_for
from hf_optical.teacher_cache import CachedTeacher, build_dataset, filling

ROWS = tiny_models.bitext(40)
TEXTS = sorted(set(ROWS["source"]))
_PATIENCE = 800


def cache_of(folder: Path, kind: str = "dense", dtype: str = "float16") -> CachedTeacher:
    teacher = getattr(tiny_models, kind)(folder / "made", tiny_models.ENGLISH)
    cached = CachedTeacher.for_teacher(teacher, folder / f"cache-{dtype}", dtype=dtype)
    filling.fill(cached.folder, teacher, TEXTS, show_progress=False, batch_size=8, shard_bytes=1)
    return CachedTeacher(cached.folder)


def assert_same(one: CachedTeacher, other: CachedTeacher) -> None:
    views = [cache.token_view(cache.reader.find(TEXTS)) for cache in (one, other)]
    for name in ("tokens", "mask", "special", "sentence", "input_ids"):
        assert getattr(views[0], name).equal(getattr(views[1], name))
    assert one.identity == other.identity and one.tokenizer.get_vocab() == other.tokenizer.get_vocab()


@pytest.fixture
def offline_datasets(tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")


@pytest.mark.parametrize(("kind", "dtype"), [("dense", "float16"), ("late", "int8")])
def test_a_data_set_becomes_the_cache_again(tmp_path, offline_datasets, kind, dtype):
    cached = cache_of(tmp_path, kind, dtype)
    folder = build_dataset(cached.folder, tmp_path / "set", licence="cc-by-4.0", repo_id="me/cache")
    assert_same(CachedTeacher.from_dataset(str(folder), tmp_path / "back"), cached)
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert not [name for name in names if name.endswith((".safetensors", ".bin", ".pt", ".pkl", ".py"))]
    assert len(list((folder / "data").glob("*.parquet"))) == len(cached.manifest.shards) > 2
    table = pq.read_table(next(iter(sorted((folder / "data").glob("*.parquet")))))
    assert table.column_names == [
        "key",
        "input_ids",
        "tokens",
        *(["scales"] if dtype == "int8" else []),
        "sentence",
    ]
    # Made again in the same place; into another's folder never.
    build_dataset(cached.folder, folder, licence="cc-by-4.0")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    with pytest.raises(InputError, match="did not write"):
        build_dataset(cached.folder, tmp_path / "mine", licence="mit")


def test_the_card_says_what_is_in_it(tmp_path):
    cached = cache_of(tmp_path)
    folder = build_dataset(cached.folder, tmp_path / "set", licence="cc-by-4.0", repo_id="me/cache")
    card = DatasetCard.load(folder / "README.md")
    assert card.data.license == "cc-by-4.0" and card.data.size_categories == ["n<1K"]
    assert card.data.to_dict()["configs"][0]["data_files"] == [{"split": "train", "path": "data/*.parquet"}]
    assert cached.identity.digest in card.text and 'from_dataset("me/cache"' in card.text
    assert not any(text in card.text for text in TEXTS) and f"{len(TEXTS)} English texts" in card.text


def test_an_interrupted_restoring_goes_on_and_a_changed_row_is_refused(tmp_path, offline_datasets):
    cached = cache_of(tmp_path)
    folder = build_dataset(cached.folder, tmp_path / "set", licence="mit")
    back = CachedTeacher.from_dataset(str(folder), tmp_path / "back")
    (back.folder / back.manifest.shards[1].file).unlink()
    assert_same(CachedTeacher.from_dataset(str(folder), tmp_path / "back"), cached)
    other = cache_of(tmp_path, dtype="int8")
    with pytest.raises(InputError, match="another teacher cache"):
        CachedTeacher.from_dataset(str(folder), other.folder)

    first = min((folder / "data").glob("*.parquet"))
    table = pq.read_table(first)
    tokens = [bytes([value[0] ^ 1]) + value[1:] for value in table["tokens"].to_pylist()]
    pq.write_table(table.set_column(2, "tokens", [tokens]), first)
    with pytest.raises(InputError, match=r"shard-00000\.safetensors.*not those that were published"):
        CachedTeacher.from_dataset(str(folder), tmp_path / "other")


def test_restoring_names_the_process_for_which_it_waits(tmp_path, offline_datasets, caplog):
    place = build_dataset(cache_of(tmp_path).folder, tmp_path / "set", licence="mit")
    back = tmp_path / "back"
    back.mkdir()
    with ThreadPoolExecutor() as pool:
        with waited_for(back / filling.LOCK_FILE, "it"):
            restored = pool.submit(CachedTeacher.from_dataset, str(place), back)
            waited = time.monotonic() + 30
            while "waiting for it" not in caplog.text and time.monotonic() < waited:
                time.sleep(0.01)
            assert f"{back} is being written by process {os.getpid()}" in caplog.text
        assert restored.result(timeout=60).manifest.texts == len(set(TEXTS))


def test_what_is_no_cache_is_refused(tmp_path):
    (tmp_path / "set").mkdir()
    with pytest.raises(InputError, match="not a teacher cache"):
        CachedTeacher.from_dataset(str(tmp_path / "set"), tmp_path / "back")
    teacher = tiny_models.dense(tmp_path / "made", tiny_models.ENGLISH)
    empty = CachedTeacher.for_teacher(teacher, tmp_path / "empty")
    with pytest.raises(InputError, match="no texts"):
        build_dataset(empty.folder, tmp_path / "out", licence="mit")


PUBLISH = """
import os, sys
from hf_optical.errors import HFOpticalError
from hf_optical.teacher_cache import publish
for token in sys.argv[2:]:
    os.environ["HF_TOKEN"] = token
    try:
        print("ok", publish(sys.argv[1], "me/cache"), flush=True)
    except HFOpticalError as error:
        print("error", error, flush=True)
"""

LOAD = """
import sys
import numpy as np
from datasets import load_dataset
rows = load_dataset("me/cache", split="train")  # the unmodified client
tokens = {row["key"]: np.frombuffer(row["tokens"], "float16").reshape(-1, 16) for row in rows}
np.savez(sys.argv[1], **tokens)
from hf_optical.teacher_cache import CachedTeacher
print(CachedTeacher.from_dataset("me/cache", sys.argv[2]).manifest.texts)
try:
    CachedTeacher.from_dataset("me/nothing", sys.argv[2] + "2")
except Exception as error:
    print(type(error).__name__, error)
"""


def _python(hub: Hub, home: Path, code: str, *arguments: str) -> str:
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub.url,
        "HF_HUB_OFFLINE": "0",
        "HF_DATASETS_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
    }
    environment |= {"HF_HOME": str(home), "HF_TOKEN": TOKEN, "HF_HUB_DISABLE_TELEMETRY": "1"}
    environment["PYTHONPATH"] = str(Path(__file__).resolve().parents[2])
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=_PATIENCE)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.timeout(2 * _PATIENCE)
def test_round_trip_with_unmodified_clients(tmp_path):
    cached = cache_of(tmp_path)
    folder = build_dataset(cached.folder, tmp_path / "set", licence="cc-by-4.0", repo_id="me/cache")
    with Hub() as hub:
        said = _python(hub, tmp_path / "home", PUBLISH, str(folder), "hf_wrong", TOKEN, TOKEN).splitlines()
        assert "does not know the token (401)" in said[0]
        assert said[1:] == [f"ok {hub.url}/datasets/me/cache"] * 2
        repository = hub.repositories["datasets", "me/cache"]
        assert repository.private and len(repository.commits) == 2  # an empty one, and the first: nothing had changed
        said = _python(hub, tmp_path / "clean", LOAD, str(tmp_path / "got.npz"), str(tmp_path / "back"))
    lines = [line for line in said.splitlines() if line.strip()]
    assert lines[0] == str(len(TEXTS)) and lines[1].startswith("InputError") and "me/nothing" in lines[1]
    assert_same(CachedTeacher(tmp_path / "back"), cached)
    got = np.load(tmp_path / "got.npz")
    view = cached.token_view(cached.reader.find(TEXTS))
    from hf_optical.teacher_cache.identity import text_key

    for row, text in enumerate(TEXTS):
        mine = torch.from_numpy(got[text_key(text).hex()].astype(np.float32))
        torch.testing.assert_close(mine, view.tokens[row][view.mask[row]], atol=1e-6, rtol=0)


def test_a_manifest_that_lies_about_its_rows_is_refused(tmp_path, offline_datasets):
    cached = cache_of(tmp_path)
    folder = build_dataset(cached.folder, tmp_path / "set", licence="mit")
    shutil.rmtree(tmp_path / "back", ignore_errors=True)
    content = json.loads((folder / "manifest.json").read_text())
    content["shards"].pop()
    (folder / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"rows, and its manifest names"):
        CachedTeacher.from_dataset(str(folder), tmp_path / "back")
