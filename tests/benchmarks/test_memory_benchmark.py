"""The memory benchmark runs every variant on a small shape, and trains what each says that it trains."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import pytest


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    return importlib.import_module("memory")


def small(benchmark, **options):
    shape = {"rows": 400, "used": 60, "width": 16, "layers": 1, "batch_size": 4, "length": 8, "steps": 2}
    return benchmark.MemoryBenchmark(**{**shape, **options})


def test_every_variant_trains_its_part(benchmark, tmp_path):
    config = small(benchmark, folder=str(tmp_path))
    benchmark.make_models(config, tmp_path)
    trainers = {variant: benchmark._trainer(config, variant, tmp_path) for variant in config.variants}
    moved = {}
    for variant, trainer in trainers.items():
        before = {name: value.clone() for name, value in trainer.model.state_dict().items()}
        trainer.train()
        after = trainer.model.state_dict()
        moved[variant] = {name for name in after if not after[name].equal(before[name])}
        assert trainer.state.global_step == 2
    table = {name for name in moved["stock"] if "word_embeddings" in name}
    assert table and table <= moved["all"] and table <= moved["used"]
    assert not table & (moved["frozen"] | moved["lora"])
    assert all("lora_" in name for name in moved["lora"]) and moved["lora"]


def test_processes_of_their_own_are_compared(benchmark, tmp_path):
    config = small(benchmark, variants=["stock", "frozen"], output=str(tmp_path / "out.json"))
    benchmark.main(config)
    found = json.loads((tmp_path / "out.json").read_text())
    assert found["share_of"]["stock"]["stock"] == 1 and found["share_of"]["stock"]["frozen"] > 0
    assert list(found["peaks"]) == ["stock", "frozen"]  # each trained what it was asked for, and no more
    assert found["rows"] == 400 and found["peaks"]["frozen"]["imports"] > 0
