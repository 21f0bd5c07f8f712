"""The benchmarks of the transport term run and say what they measured; never how fast it was."""

from __future__ import annotations

import importlib
import json
import math
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def load(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    threads = torch.get_num_threads()
    yield importlib.import_module
    torch.set_num_threads(threads)


def test_solvers_are_compared_at_one_violation_with_their_accuracy(load, tmp_path):
    solvers = load("solvers")
    file = tmp_path / "solvers.json"
    solvers.main(solvers.SolverBenchmark(pairs=3, tokens=[9], rounds=1, output=str(file)))
    report = json.loads(file.read_text())
    rows = {row["solver"]: row for row in report["speed"]}
    assert {solvers.OURS, *solvers.TARGETS, "POT exact, loop over pairs"} <= set(rows)
    assert all(row["worst_violation"] <= 1e-3 for name, row in rows.items() if "default" not in name)
    assert abs(rows["POT exact, loop over pairs"]["excess_max"]) < 1e-5
    assert rows["IPOT.near_exact (ours)"]["excess_max"] < 0.01
    # At one epsilon and violation the entropic solvers have one bias.
    biases = [row["excess_mean"] for name, row in rows.items() if "Sinkhorn" in name or "batch" in name]
    assert max(biases) - min(biases) < 5e-3
    for row in report["accuracy"]:
        assert row["changed_by_padding"] == 0
        assert row["gradient_error"] < 1e-5
        assert row["plan_l1_error"] < 1e-4
    assert report["versions"]["torch"]
    assert "cores" in report["machine"]


def test_a_step_with_transport_is_timed_beside_one_without(load, tmp_path):
    step = load("step")
    file = tmp_path / "step.json"
    step.main(step.StepBenchmark(shapes=["tiny"], batch=2, length=6, rounds=1, loss_rounds=1, output=str(file)))
    rows = json.loads(file.read_text())["rows"]
    assert {(row["step"], row["solver"]) for row in rows} == {
        (kind, solver) for kind in ("all", "cached teacher") for solver in step.SOLVERS
    }
    assert all(row["whole_step"]["median"] > 0 for row in rows)


def test_the_gpu_benchmark_runs_dry(load, tmp_path):
    gpu = load("gpu")
    file = tmp_path / "gpu.json"
    gpu.main(gpu.GpuBenchmark(dry=True, repeats=1, output=str(file)))
    report = json.loads(file.read_text())
    assert {"device", "accuracy", "solvers", "launches", "step", "run", "targets"} <= set(report)
    assert report["dry"]
    assert not any(isinstance(report[part], dict) and "failed" in report[part] for part in report)
    assert report["fused_kernel"] or report["accuracy"] == []


def test_without_a_device_the_gpu_benchmark_says_so(load, monkeypatch):
    gpu = load("gpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="no CUDA device; --dry true"):
        gpu.main(gpu.GpuBenchmark())


def test_the_bound_is_the_larger_of_moving_and_adding(load):
    gpu_device = load("gpu_device")
    limits = {"bytes_per_second": 1e12, "fma_per_second": 1e13, "launch_seconds": 2e-6}
    few, many = (gpu_device.bound(4096, 64, 768, iterations, limits) for iterations in (10, 1000))
    moved = 4096 * (64 * 768 * (2 + 2 + 4) + 2 * 64 * 4 + 4)
    assert few["bound_by"] == "bytes"
    assert math.isclose(few["bound_seconds"], 2e-6 + moved / 1e12)
    assert many["bound_by"] == "multiply-adds"
    assert math.isclose(many["bound_seconds"], 2e-6 + 2 * 4096 * 64 * 64 * 1000 / 1e13)
