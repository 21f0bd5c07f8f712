"""The results file: complete, free of this machine's folders, whole or absent."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from hf_optical.results import files as results


def test_the_file_says_what_was_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inside").mkdir()
    arguments = ["recipes/x.py", "--a", str(tmp_path / "inside"), f"--b={tmp_path.parent}", "--c", "x/y", "--d", "/m/s"]
    monkeypatch.setattr(sys, "argv", arguments)
    path = results.write_results(
        "out",
        evaluations=[{"set": "s", "scores": {"map": np.float32(0.5), "bad": float("nan")}, "n": np.int64(3)}],
        seed=7,
        data=[{"path": "x", "rows": 1, "sha256": "0"}],
        started=time.time() - 2,
        per_query={"s": {"q": {"map": 1.0}}},
        config={"folder": tmp_path / "inside", "values": (1, np.arange(2)), "flag": True, "sets": {"b", "a"}},
    )
    found = json.loads(path.read_text())
    assert list(found)[:7] == ["command", "seed", "versions", "data", "seconds", "peak_memory_mb", "evaluations"]
    assert found["command"] == f"recipes/x.py --a inside --b={tmp_path.parent.name} --c x/y --d /m/s"
    assert str(tmp_path) not in path.read_text()
    assert found["evaluations"] == [{"set": "s", "scores": {"map": 0.5, "bad": None}, "n": 3}]
    assert found["config"] == {"folder": "inside", "values": [1, [0, 1]], "flag": True, "sets": ["a", "b"]}
    assert 2 <= found["seconds"] < 60
    assert found["peak_memory_mb"] > 50
    assert json.loads((tmp_path / "out" / found["per_query_file"]).read_text()) == {"s": {"q": {"map": 1.0}}}
    assert {"python", "torch", "transformers", "sentence-transformers", "peft"} <= set(found["versions"])


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = results.write_json(tmp_path / "results.json", {"a": 1})
    monkeypatch.setattr(results.os, "replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        results.write_json(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [file.name for file in Path(tmp_path).iterdir()] == ["results.json"]
