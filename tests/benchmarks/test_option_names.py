"""Benchmarks name options that runs have: a renamed one would end a long benchmark at its first run."""

import ast
from dataclasses import fields
from pathlib import Path

from hf_optical.runs.options import TrainConfig

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_benchmarks_name_options_that_runs_have():
    known, named = {item.name for item in fields(TrainConfig)}, []
    for file in BENCHMARKS.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "TrainConfig":
                named += [(file.name, keyword.arg) for keyword in node.keywords if keyword.arg]
    assert len(named) > 20
    assert [one for one in named if one[1] not in known] == []
