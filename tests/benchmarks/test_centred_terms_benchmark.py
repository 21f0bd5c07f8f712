"""The benchmark of centred terms in small: every part runs; never how good."""

from __future__ import annotations

import copy
import gzip
import importlib
import json
from pathlib import Path

import tiny_models
from tiny_sets import write_retrieval_set

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_arms_are_trained_read_in_three_ways_and_tested(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    benchmark = importlib.import_module("centred_terms")
    systems = importlib.import_module("token_scoring_systems")
    monkeypatch.setattr(systems, "starting_student", lambda kind, teacher, rows: copy.deepcopy(teacher))
    tiny_models.dense(tmp_path / "parts").save_pretrained(str(tmp_path / "body"))
    rows = tiny_models.bitext(140)
    english = list(dict.fromkeys(rows["source"]))
    place = tmp_path / "bitext" / "so.train.jsonl.gz"
    place.parent.mkdir()
    with gzip.open(place, "wt", encoding="utf-8") as stream:
        stream.writelines(json.dumps({"en": r["source"], "so": r["translation"]}) + "\n" for r in rows)
    for name in ("ntrex_passage", "ntrex_bitext"):
        write_retrieval_set(tmp_path / "eval" / name, {"en": english[:8]}, {"so": english[:8]})
    arms = ["mse", "ot+mse", "centred_ot+mse", "ot_labels", "greedy_labels"]
    output = tmp_path / "found.json"
    config = benchmark.CentredTerms(
        str(tmp_path / "body"),
        str(tmp_path),
        str(tmp_path / "cache"),
        languages=["so"],
        arms=arms,
        steps=2,
        batch_size=4,
        output=str(output),
    )
    benchmark.main(config)
    found = json.loads(output.read_text())
    assert set(found["tables"]) == {"dense", "maxsim", "soft"}
    assert set(found["tables"]["soft"]) == {"untrained", *arms}
    claims = {(claim["reading"], claim["claim"]) for claim in found["claims"]}
    assert ("dense", "ot_labels - greedy_labels") in claims and ("soft", "centred_ot+mse - mse") in claims
    assert not any("nearest_labels" in claim for _, claim in claims)  # an arm that was not asked for
