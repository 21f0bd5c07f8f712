"""The benchmark of means of start and end in small: it finds the end of a run again, whether or not it saved a mean."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest
import tiny_models
from script_modules import call, load_recipe
from tiny_runs import write_run

from hf_optical.training.held_out_choice import HeldOutChoice

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_shares_of_a_run_that_saved_a_mean_and_of_one_that_did_not(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    benchmark = importlib.import_module("start_share")
    monkeypatch.setattr(HeldOutChoice, "taken_mean", property(lambda choice: choice.mean))
    flags = write_run(tmp_path, pairs=300, max_steps="12", eval_steps="6", learning_rate="1e-2")
    runs = []
    for name, share in (("whole", "0"), ("mixed", "0.25")):
        runs.append(str(tmp_path / name))
        assert call(load_recipe("train"), {**flags, "output_dir": runs[-1], "start_share": share}) == 0
    argv = ["start_share.py", *runs, "--teacher", flags["teacher"], "--bitext", *[flags["bitext"]] * 2]
    argv += ["--languages", "sw", "sw", "--eval", flags["eval"], "--json", str(tmp_path / "found.json")]
    trained_on = [{"en": r["source"], "xx": r["translation"]} for r in tiny_models.bitext(300)]
    others = [{"en": f"dog {number}", "xx": f"mbwa {number}"} for number in range(12)]
    rows = [{**row, "domain": "health"} for row in (*trained_on, *others)]
    (tmp_path / "others.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    argv += ["--others", *[str(tmp_path / "others.jsonl")] * 2]
    monkeypatch.setattr(benchmark, "FEWEST", 10)
    monkeypatch.setattr("sys.argv", argv)
    benchmark.main()
    found = json.loads((tmp_path / "found.json").read_text())["runs"]
    assert {"health sentences", "health passages"} <= found["whole"]["sets"].keys()
    assert found["whole"]["sets"]["health sentences"]["n"] == 12, "pairs that were trained on are searched for"
    for name in ("held-out sentences", "held-out passages", "eval"):
        whole, mixed = (found[run]["sets"][name] for run in ("whole", "mixed"))
        for share in ("1.0", "0.5", "0.0"):
            assert whole[share]["mean"] == pytest.approx(mixed[share]["mean"], abs=0.02), "the end was not found again"
        assert whole["1.0"]["end"]["difference"] == pytest.approx(-whole["0.0"]["start"]["difference"])
    results = json.loads((tmp_path / "mixed" / "results.json").read_text())
    mean = results["held_out"]["choice"]["mean"]
    assert mean["taken"]
    parts = [found["mixed"]["sets"][f"held-out {kind}"]["0.25"]["mean"] for kind in ("sentences", "passages")]
    assert sum(parts) / 2 == pytest.approx(mean["value"], abs=1e-6), "what was saved is not the mean"
