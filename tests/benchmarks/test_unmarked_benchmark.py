"""The benchmark of queries without marks in small: every part runs; never how good."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest
import tiny_models
from tiny_sets import write_retrieval_set

from hf_optical.students import grow_student

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
IGBO = ["ụlọ ọkọ̀ dị mma", "oké òké mmiri", "oke ụmụaka na-eri nri"] * 10


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("unmarked")


def test_grown_students_are_read_on_both_kinds_of_queries_and_tested(benchmark, monkeypatch, tmp_path, capsys):
    teacher = tiny_models.dense(tmp_path, [*tiny_models.ENGLISH, "a café"])
    teacher.save_pretrained(str(tmp_path / "teacher"))
    english = list(dict.fromkeys(tiny_models.ENGLISH))[:3]
    write_retrieval_set(tmp_path / "eval" / "afriqa", {"en": [*english[:2], "the café"]}, {"ig": IGBO[:3]})

    def trained(options, language, arm, seed):
        folder = tmp_path / f"{language}-{arm}-{seed}"
        student = grow_student(teacher, IGBO, "replace", 90, keep_marks=arm == "true" or "auto")
        for name in benchmark.STATES.values():
            student.save_pretrained(str(folder / name))
        (folder / "results.json").write_text('{"held_out": {"choice": {"best_step": 2}}}', encoding="utf-8")
        return folder

    monkeypatch.setattr(benchmark, "trained", trained)
    output = tmp_path / "unmarked.json"
    words = ["--grown", str(tmp_path / "teacher"), "--data", str(tmp_path), "--languages", "ig", "--seeds", "0", "1"]
    monkeypatch.setattr(sys, "argv", ["unmarked.py", *words, "--output", str(output)])
    benchmark.main()
    found = json.loads(output.read_text(encoding="utf-8"))["languages"]["ig"]
    assert len(found["scores"]) == 8 and len(found["tests"]) == 6
    assert found["kept step"]["true"] == {"0": 2, "1": 2}
    assert all(len(scores["by seed"]) == 2 and 0 <= scores["mean"] <= 1 for scores in found["scores"].values())
    assert found["english words"]["auto"]["alike with accents"] <= 1 and found["english words"]["true"]["words"] > 0


def test_the_copy_has_no_marks(benchmark, tmp_path):
    source, target = tmp_path / "queries.ig.jsonl", tmp_path / "copy.jsonl"
    source.write_text('{"id": "1", "text": "ụlọ"}\n{"id": "2", "text": "mma"}\n', encoding="utf-8")
    assert benchmark.copy_unmarked(source, target) == (1, 2)
    assert "ulo" in target.read_text(encoding="utf-8")
