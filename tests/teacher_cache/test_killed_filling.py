"""``kill -9`` while a cache is written: what is there is whole, and the next start does the rest, bit for bit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import tiny_models

from hf_optical.teacher_cache import CachedTeacher, filling

SCRIPT, TESTS = Path(__file__).with_name("filling_process.py"), Path(__file__).parents[1]
COUNT = 160


def _start(folder: Path, pause: float) -> subprocess.Popen:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(TESTS)}
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(folder), str(COUNT), str(pause)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def test_a_killed_filling_goes_on(tmp_path, monkeypatch):
    texts = tiny_models.bitext(COUNT)["source"]
    teacher = tiny_models.dense(tmp_path / "teacher", tiny_models.ENGLISH)
    whole = CachedTeacher.for_teacher(teacher, tmp_path / "whole")
    filling.fill(whole.folder, teacher, texts, show_progress=False, batch_size=8, shard_bytes=1)
    whole.reader.refresh()
    shards = len(whole.manifest.shards)
    assert shards > 10

    process = _start(tmp_path, 0.3)
    deadline = time.time() + 400
    while len(list((tmp_path / "cache").glob("shard-*"))) < 3:
        assert process.poll() is None, process.stderr.read().decode()[-2000:]
        assert time.time() < deadline
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    (tmp_path / "cache" / ".writing-half").write_bytes(b"half a shard")

    found = CachedTeacher.for_teacher(teacher, tmp_path / "cache")  # what is there is whole
    there = len(found.manifest.shards)
    assert 2 <= there < shards
    read, true_read = [], filling._read
    monkeypatch.setattr(filling, "_read", lambda t, some, *rest: read.extend(some) or true_read(t, some, *rest))
    filling.fill(found.folder, teacher, texts, show_progress=False, batch_size=8, shard_bytes=1)
    found.reader.refresh()
    assert len(read) == len(set(texts)) - sum(entry.texts for entry in found.manifest.shards[:there])
    assert found.manifest == whole.manifest  # hashes included
    assert not list(found.folder.glob(".writing-*"))
