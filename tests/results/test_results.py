"""The results file: complete, free of this machine's folders, whole or absent."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from hf_optical.errors import InputError
from hf_optical.results import files as results
from hf_optical.results.records import Evaluation, read_per_query, read_results


def test_the_file_says_what_was_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inside").mkdir()
    arguments = ["recipes/x.py", "--a", str(tmp_path / "inside"), f"--b={tmp_path.parent}", "--c", "x/y", "--d", "/m/s"]
    monkeypatch.setattr(sys, "argv", arguments)
    path = results.write_results(
        "out",
        evaluations=[Evaluation("s", "swh_Latn", 3, scores={"map": np.float32(0.5), "bad": float("nan")})],
        seed=7,
        data=[{"path": "x", "rows": 1, "sha256": "0"}],
        started=time.time() - 2,
        per_query={"s": {"q": {"map": 1.0}}},
        config={"folder": tmp_path / "inside", "values": (1, np.arange(2)), "flag": True, "sets": {"b", "a"}},
    )
    found = json.loads(path.read_text())
    assert list(found)[:7] == ["command", "seed", "versions", "data", "seconds", "peak_memory_mb", "evaluations"]
    assert found["command"] == f"python recipes/x.py --a inside --b={tmp_path.parent.name} --c x/y --d /m/s"
    assert str(tmp_path) not in path.read_text()
    assert found["evaluations"] == [{"set": "s", "language": "swh_Latn", "n": 3, "scores": {"map": 0.5, "bad": None}}]
    assert found["config"] == {"folder": "inside", "values": [1, [0, 1]], "flag": True, "sets": ["a", "b"]}
    assert 2 <= found["seconds"] < 60
    assert found["peak_memory_mb"] > 50
    assert json.loads((tmp_path / "out" / found["per_query_file"]).read_text()) == {"s": {"q": {"map": 1.0}}}
    assert {"python", "torch", "transformers", "sentence-transformers", "peft"} <= set(found["versions"])


@pytest.mark.parametrize(
    ("program", "said"),
    [
        ("/home/me/.venv/bin/hf-optical", "hf-optical"),
        ("/home/me/copy/hf_optical/commands/main.py", "hf-optical"),  # python -m hf_optical.commands.main
        ("/home/me/copy/hf_optical/train.py", "python -m hf_optical.train"),
        ("/home/me/copy/recipes/evaluate.py", "python recipes/evaluate.py"),
        ("recipes/evaluate.py", "python recipes/evaluate.py"),
    ],
)
def test_the_command_is_written_as_somebody_else_can_type_it(program, said):
    assert results.typed_command([program, "--seed", "1"]) == f"{said} --seed 1"


def test_a_failed_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = results.write_json(tmp_path / "results.json", {"a": 1})
    monkeypatch.setattr(results.os, "replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        results.write_json(path, {"a": 2})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [file.name for file in Path(tmp_path).iterdir()] == ["results.json"]


def test_an_older_file_is_read_with_the_present_names(tmp_path):
    scores = {"ndcg@10": 0.5}
    old = {
        "evaluations": [
            {
                "set": "s",
                "language": "swh_Latn",
                "n": 2,
                "aligned": scores,
                "after": {"ndcg@10": 0.75},
                "tests": {"after against aligned": {"verdict": "win"}},
                "bias": {"aligned": 1},
                "note": "kept",
            }
        ]
    }
    (tmp_path / "results.json").write_text(json.dumps(old))
    (tmp_path / "per_query.json").write_text(json.dumps({"s/swh_Latn": {"aligned": {"q": scores}}}))

    (entry,) = read_results(tmp_path).evaluations

    assert entry.score("initialized", "ndcg@10") == 0.5 and entry.score("after", "ndcg@10") == 0.75
    assert entry.score("raw", "ndcg@10") is None
    assert list(entry.tests) == ["after against initialized"] and entry.bias == {"initialized": 1}
    assert entry.to_json()["note"] == "kept"
    assert read_per_query(tmp_path) == {"s/swh_Latn": {"initialized": {"q": scores}}}


def test_a_record_survives_writing_and_reading():
    entry = Evaluation("s", "swh_Latn", 3, rows={"raw": {"map": 0.1}, "ceiling": None}, tests={}, others={"x": 1})
    assert Evaluation.from_json(entry.to_json()) == entry


def test_what_lacks_a_key_or_a_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="'language'"):
        Evaluation.from_json({"set": "s", "n": 1})
    with pytest.raises(InputError, match="not the folder of a finished run"):
        read_results(tmp_path)
