"""The growth benchmark in small: that it measures and draws; never how fast."""

from __future__ import annotations

import json
import sys

import pytest
from script_modules import ROOT, load_script


@pytest.fixture
def growth(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return load_script(ROOT / "benchmarks" / "growth.py")


def test_readers_and_sampler_are_measured_and_drawn(growth, tmp_path, monkeypatch):
    if not sys.platform.startswith("linux"):
        pytest.skip("memory is read from /proc")
    output = tmp_path / "growth.json"
    words = ["--parts", "read", "sample", "--pairs", "200", "400", "--scratch", str(tmp_path), "--output", str(output)]
    monkeypatch.setattr(sys, "argv", ["growth.py", *words])
    monkeypatch.setattr(growth.tempfile, "tempdir", None)
    growth.main()
    found = json.loads(output.read_text())
    assert [point["rows"] for point in found["parts"]["read"]] == [200, 400]
    assert [point["batches"] for point in found["parts"]["sample"]] == [7, 13]  # of 32
    assert all(point["peak_mb"] > 0 for part in found["parts"].values() for point in part)
    assert [path for path in tmp_path.iterdir() if path != output] == []
    growth.figure(found).save(tmp_path / "growth.svg")
    assert "sampler and epoch" in (tmp_path / "growth.svg").read_text()


def test_the_exponent_of_a_power(growth):
    assert growth.exponents([(10, 3.0), (100, 300.0), (1000, 30_000.0)]) == {"all": 2.0, "last": 2.0}
