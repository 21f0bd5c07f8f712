"""The dry run of the answer: every arm and language of answer.yaml is in it, and every file that it names is made."""

from __future__ import annotations

from pathlib import Path

import yaml
from script_modules import ROOT, load_script


def test_the_whole_matrix_is_in_the_dry_run_and_its_files_exist(tmp_path):
    dry_run = load_script(ROOT / "benchmarks" / "answer_dry_run.py")
    dry_run.make_data(tmp_path)
    found = dry_run.small(tmp_path, tmp_path / "runs")
    whole = yaml.safe_load((ROOT / "benchmarks" / "answer.yaml").read_text("utf-8"))
    assert found["arms"] == whole["arms"] and list(found["languages"]) == list(whole["languages"])
    assert found["contrasts"] == whole["contrasts"] and len(found["sizes"]) == len(whole["sizes"])
    named = [found["common"]["teacher"]]
    for language in found["languages"].values():
        bitexts = language["bitext"] if isinstance(language["bitext"], list) else [language["bitext"]]
        named += [entry.rpartition("=")[2] for entry in [*bitexts, *language["query_passages"]]] + language["eval"]
    assert all(Path(name).exists() and Path(name).is_relative_to(tmp_path) for name in named), named
