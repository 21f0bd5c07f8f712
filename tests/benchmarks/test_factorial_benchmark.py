"""The factorial benchmark in small: every part runs; never how good."""

from __future__ import annotations

import copy
import gzip
import importlib
import json
from pathlib import Path

import pytest
import tiny_models
from tiny_sets import write_retrieval_set

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_cells_are_trained_read_in_five_ways_kept_and_tested(monkeypatch, tmp_path, capsys):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    benchmark = importlib.import_module("factorial")
    monkeypatch.setattr(benchmark, "grow_student", lambda teacher, texts, **_: copy.deepcopy(teacher))
    monkeypatch.setattr(benchmark, "initialise_from_bitext", lambda *_, **__: None)
    tiny_models.dense(tmp_path / "parts").save_pretrained(str(tmp_path / "body"))
    rows = tiny_models.bitext(300)
    english = list(dict.fromkeys(rows["source"]))
    place = tmp_path / "bitext" / "so.train.jsonl.gz"
    place.parent.mkdir()
    with gzip.open(place, "wt", encoding="utf-8") as stream:
        stream.writelines(json.dumps({"en": r["source"], "so": r["translation"]}) + "\n" for r in rows)
    for name in ("ntrex_passage", "ntrex_bitext"):
        write_retrieval_set(tmp_path / "eval" / name, {"en": english[:8]}, {"so": english[:8]})
    cells = ["transport/none", "transport/mse", "transport/ot", "transport/ot_labels", "transport/greedy_labels"]
    output = tmp_path / "found.json"
    config = benchmark.Factorial(
        str(tmp_path / "body"),
        str(tmp_path),
        str(tmp_path / "cache"),
        languages=["so"],
        cells=cells,
        seeds=[0, 1],
        steps=2,
        batch_size=4,
        max_length=32,
        output=str(output),
    )
    benchmark.main(config)
    found = json.loads(output.read_text())
    table = found["tables"]["passages"]["so"]
    assert set(table) == set(cells)
    assert table["transport/mse"]["seeds"] == 2 and table["transport/none"]["seeds"] == 1
    assert set(table["transport/mse"]) == {"seeds", "n", *benchmark.READINGS}
    claims = {claim["claim"]: claim for claim in found["claims"]}
    assert claims["labels: ot - greedy"]["seeds"] == {"so": 2}
    assert not any("nearest" in name for name in claims)  # a cell that was not asked for
    assert claims["loss: ot - mse"]["difference"] == pytest.approx(
        table["transport/ot"]["dense"] - table["transport/mse"]["dense"], abs=2e-4
    )
    assert [path.name for path in (tmp_path / "cache").iterdir() if path.name.startswith("tmp")] == []
    capsys.readouterr()
    benchmark.main(config)  # from the cache alone
    assert "of training" not in capsys.readouterr().out
