"""The benchmark of a late-interaction teacher in small: every part runs; never how good."""

from __future__ import annotations

import copy
import gzip
import importlib
import json
from pathlib import Path

import tiny_models
from tiny_sets import write_retrieval_set

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def _write(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt", encoding="utf-8") as stream:
        stream.writelines(json.dumps(row) + "\n" for row in rows)


def test_teacher_and_students_are_trained_read_and_tested(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    benchmark = importlib.import_module("late_teacher")
    monkeypatch.setattr(benchmark, "HELD_OUT", 6)
    monkeypatch.setattr(benchmark, "starting_student", lambda kind, teacher, rows: copy.deepcopy(teacher))
    tiny_models.dense(tmp_path / "parts").save_pretrained(str(tmp_path / "body"))
    rows = tiny_models.bitext(30)
    english = list(dict.fromkeys(rows["source"]))
    _write(tmp_path / "en_retrieval" / "train.jsonl.gz", [{"query": t.split()[0], "passage": t} for t in english])
    _write(tmp_path / "bitext" / "sw.train.jsonl.gz", [{"en": r["source"], "sw": r["translation"]} for r in rows])
    write_retrieval_set(tmp_path / "eval" / "ntrex_passage", {"en": english[:8]}, {"sw": english[:8]})
    options = {"languages": ["sw"], "arms": ["ot", "greedy", "nce"], "teacher_steps": 2, "teacher_batch": 4}
    output = tmp_path / "found.json"
    config = benchmark.LateTeacher(
        str(tmp_path / "body"),
        str(tmp_path),
        str(tmp_path / "cache"),
        **options,
        steps=2,
        batch_size=4,
        output=str(output),
    )
    benchmark.main(config)
    found = json.loads(output.read_text())
    assert set(found["english"]) == {"untrained head", "teacher", "body, dense", "body, maxsim"}
    assert set(found["students"]["sw"]) == {"untrained", "ot", "greedy", "nce"}
    assert [claim["claim"] for claim in found["claims"]] == ["ot - greedy", "ot - nce"]
    again = json.loads(output.read_text())["students"]
    benchmark.main(config)  # goes on from what is kept
    assert json.loads(output.read_text())["students"] == again
