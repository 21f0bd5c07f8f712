"""Two finished runs against each other: paired by query, in the right direction, refused where they do not match."""

from __future__ import annotations

import json

import pytest

from hf_optical.commands import compare
from hf_optical.comparison.finished_runs import compare_runs
from hf_optical.configuration.parsing import parse
from hf_optical.errors import InputError

MEASURES = ("ndcg@10", "mrr@10", "recall@1", "recall@10", "map", "recall@100", "mrr")


def write_run(folder, scores, place="news/swh_Latn"):
    folder.mkdir()
    (folder / "results.json").write_text(json.dumps({"evaluations": []}))
    after = {f"q{i}": dict.fromkeys(MEASURES, score) for i, score in enumerate(scores)}
    (folder / "per_query.json").write_text(json.dumps({place: {"raw": after, "after": after}}))
    return folder


def test_the_second_run_is_tested_against_the_first(tmp_path, capsys):
    low = write_run(tmp_path / "low", [0.2 + 0.01 * (i % 5) for i in range(60)])
    high = write_run(tmp_path / "high", [0.5 + 0.01 * (i % 7) for i in range(60)])
    (pair,) = compare_runs([low, high])
    assert pair.place == "news/swh_Latn" and pair.test.difference > 0.2 and pair.test.outcome == "win"
    assert compare_runs([high, low])[0].test.outcome == "loss"
    assert compare_runs([low, low])[0].test.outcome == "tie"
    compare.main(parse(compare.CompareConfig, [str(low), str(high)]))
    printed = capsys.readouterr().out
    assert "0.220 and 0.5" in printed and "(Holm)" not in printed  # one test, with nothing to correct


def test_runs_that_cannot_be_paired_are_refused(tmp_path):
    one = write_run(tmp_path / "one", [0.2] * 10)
    with pytest.raises(InputError, match="found 1 runs"):
        compare_runs([one])
    with pytest.raises(InputError, match="different queries"):
        compare_runs([one, write_run(tmp_path / "two", [0.2] * 11)])
    with pytest.raises(InputError, match="share no retrieval set"):
        compare_runs([one, write_run(tmp_path / "three", [0.2] * 10, place="other/swh_Latn")])
    with pytest.raises(InputError, match=r"no results\.json"):
        compare_runs([one, tmp_path / "nothing"])


def held_out(folder, scores, **data):
    folder.mkdir()
    results = {"config": {"seed": 0, "held_out": 0.05}, "data": [{"rows": 100, "sha256": "a", **data}]}
    (folder / "results.json").write_text(json.dumps(results))
    after = {f"q{i}": score for i, score in enumerate(scores)}
    (folder / "held_out_per_query.json").write_text(json.dumps({"held-out passages/swh_Latn": {"after": after}}))
    return folder


def test_held_out_pairs_serve_where_there_is_no_retrieval_set(tmp_path, capsys):
    low, high = held_out(tmp_path / "low", [0.2] * 30), held_out(tmp_path / "high", [0.5] * 30)
    (pair,) = compare_runs([low, high])
    assert pair.place == "held-out passages/swh_Latn" and pair.test.outcome == "win"
    compare.main(parse(compare.CompareConfig, [str(low), str(high)]))
    assert "0.200 and 0.500" in capsys.readouterr().out


def test_pairs_held_out_of_other_files_are_not_compared(tmp_path):
    """Their queries have the same names, and are others."""
    one, other = held_out(tmp_path / "one", [0.2] * 30), held_out(tmp_path / "other", [0.5] * 30, sha256="b")
    with pytest.raises(InputError, match="held out different pairs"):
        compare_runs([one, other])


def test_held_out_pairs_serve_where_only_one_run_had_a_retrieval_set(tmp_path):
    low, high = held_out(tmp_path / "low", [0.2] * 30), held_out(tmp_path / "high", [0.5] * 30)
    after = {f"q{i}": dict.fromkeys(MEASURES, 0.3) for i in range(9)}
    (high / "per_query.json").write_text(json.dumps({"news/swh_Latn": {"after": after}}))
    (pair,) = compare_runs([low, high])
    assert pair.place == "held-out passages/swh_Latn" and pair.test.outcome == "win"


def test_the_sets_of_each_run_are_named_where_none_is_shared(tmp_path):
    measured, other = write_run(tmp_path / "one", [0.2] * 9), held_out(tmp_path / "two", [0.5] * 30)
    with pytest.raises(InputError) as refused:
        compare_runs([other, measured])
    said = str(refused.value)
    assert f"{other} has held-out passages/swh_Latn (pairs that it held out itself)" in said
    assert f"{measured} has news/swh_Latn" in said and "no scores of single queries" not in said
    (other / "held_out_per_query.json").unlink()
    with pytest.raises(InputError, match=r"two has none with scores of single queries"):
        compare_runs([other, measured])


def test_two_evaluations_on_a_set_that_came_later_are_compared(tmp_path):
    folders = []
    for name, score in (("low", 0.2), ("high", 0.5)):
        folder = write_run(tmp_path / name, [0.0])
        queries = {f"q{i}": dict.fromkeys(MEASURES, score) for i in range(30)}
        (folder / "per_query.json").write_text(json.dumps({"later/swh_Latn/eng_Latn": queries}))
        folders.append(folder)
    (pair,) = compare_runs(folders)
    assert pair.place == "later/swh_Latn" and pair.test.outcome == "win"
    with pytest.raises(InputError, match="hf-optical evaluate"):
        compare_runs([folders[0], held_out(tmp_path / "run", [0.2] * 30)])
