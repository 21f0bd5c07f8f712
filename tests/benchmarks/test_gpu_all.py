"""The script for a quarter of an hour on a GPU: dry, on a CPU, from a packed folder of tiny things."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer
from tiny_runs import write_run

ROOT = Path(__file__).resolve().parents[2]


def python(*words, **options):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
    return subprocess.run([*map(str, words)], capture_output=True, text=True, env=environment, **options)


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("packed")
    flags = write_run(folder)
    words = [sys.executable, ROOT / "benchmarks" / "pack.py", "--folder", folder / "packed", "--language", "sw"]
    done = python(*words, "--model", flags["teacher"], "--bitext", flags["bitext"], "--eval", flags["eval"])
    assert done.returncode == 0, done.stderr
    assert "MiB" in done.stdout
    return folder


def test_what_is_unpacked_reads_as_what_was_packed(packed, tmp_path):
    done = python(sys.executable, ROOT / "benchmarks" / "pack.py", "--folder", packed / "packed", "--into", tmp_path)
    assert done.returncode == 0, done.stderr
    texts = ["the goat sleeps", "a big red house"]
    before, after = (
        SentenceTransformer(str(place), device="cpu").encode(texts, normalize_embeddings=True)
        for place in (packed / "teacher", tmp_path / "model")
    )
    assert np.min(np.sum(before * after, axis=1)) > 0.999


def test_too_large_a_folder_is_refused(packed, tmp_path):
    (packed / "eval" / "corpus.all.tsv").write_bytes(os.urandom(61 * 2**20))
    words = [sys.executable, ROOT / "benchmarks" / "pack.py", "--folder", tmp_path / "large", "--language", "sw"]
    words += ["--model", packed / "teacher", "--bitext", packed / "pairs.tsv", "--eval", packed / "eval"]
    done = python(*words)
    (packed / "eval" / "corpus.all.tsv").unlink()
    assert done.returncode == 1 and "more than 60 MiB" in done.stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_dry_run_completes_every_part(packed, tmp_path):
    done = python("sh", ROOT / "benchmarks" / "gpu_all.sh", packed / "packed", tmp_path / "out", "--dry")
    assert done.returncode == 0, done.stdout + done.stderr
    measured = json.loads((tmp_path / "out" / "gpu.json").read_text())
    assert {"device", "accuracy", "solvers", "launches", "step", "run"} <= set(measured) and measured["dry"]
    compared = json.loads((tmp_path / "out" / "comparison" / "results.json").read_text())
    assert compared["done"] == compared["planned"] == 2
