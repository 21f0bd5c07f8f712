"""Students of a comparison are read token by token, and tested against the baseline."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import numpy as np
import pytest
import tiny_models
import tiny_sets

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module("late_interaction")


def test_a_planted_difference_is_found_and_none_where_there_is_none(benchmark):
    draw = np.random.default_rng(0)
    base = {f"q{i}": draw.uniform(0.2, 0.8, 3) for i in range(200)}
    better = {query: values + 0.1 + draw.normal(0, 0.02, 3) for query, values in base.items()}
    same = {query: values + draw.normal(0, 0.02, 3) for query, values in base.items()}
    arms = {"nce": base, "better": better, "same": same, "untrained": {q: v[:1] for q, v in base.items()}}
    rows = benchmark.tested({arm: {"swh_Latn": values} for arm, values in arms.items()}, "nce")
    assert rows["better"]["against_baseline"]["difference"] == pytest.approx(0.1, abs=0.01)
    assert rows["better"]["against_baseline"]["p"] < 0.001
    assert rows["same"]["against_baseline"]["p"] > 0.05
    assert rows["untrained"]["swh_Latn"]["sd"] is None and rows["nce"]["mean"]["seeds"] == 3
    shown = benchmark.shown(rows)
    assert shown.splitlines()[-1].startswith("| better |") and r"\*" in shown and shown.count(r"\*") <= 2


@pytest.mark.parametrize("rerank", [0, 5])
@pytest.mark.parametrize("scoring", ["maxsim", "soft"])
def test_models_of_a_comparison_are_scored(benchmark, tmp_path, capsys, rerank, scoring):
    teacher = tiny_models.dense(tmp_path / "parts", tiny_models.ENGLISH)
    teacher.save_pretrained(str(tmp_path / "teacher"))
    for arm in ("nce", "ot"):
        run = tmp_path / "comparison" / "runs" / "swh_Latn" / arm / "0"
        for name in ("model", "untrained"):
            teacher.save_pretrained(str(run / name))
        (run / "results.json").write_text(json.dumps({"config": {"bitext": [str(tmp_path / "pairs.tsv")]}}))
    texts = list(tiny_models.bitext(20)["source"])
    (tmp_path / "pairs.tsv").write_text("en\tsw\n" + "".join(f"{text}\t{text}\n" for text in texts))
    tiny_sets.write_retrieval_set(tmp_path / "eval", {"en": texts}, {"sw": texts, "en": texts})
    file = tmp_path / "late.json"
    benchmark.main(
        benchmark.LateInteraction(
            str(tmp_path / "comparison"),
            str(tmp_path / "teacher"),
            [str(tmp_path / "eval")],
            rerank=rerank,
            scoring=scoring,
            output=str(file),
        )
    )
    table = json.loads(file.read_text())["tables"]["eval"]
    # The teacher itself stands in for every student, and every query is its own document.
    assert {row["mean"]["mean"] for row in table.values()} == {1.0}
    assert ("by MaxSim" if scoring == "maxsim" else "by soft transport") in capsys.readouterr().out
    with pytest.raises(SystemExit, match="keep_models"):
        benchmark.main(benchmark.LateInteraction(str(tmp_path / "nothing"), "teacher", []))
