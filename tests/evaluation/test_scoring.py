"""Measures per query: the same as trec_eval's, and no query vanishes."""

from __future__ import annotations

import numpy as np
import pytest
import pytrec_eval

from hf_optical.errors import InputError
from hf_optical.evaluation.scoring import mean_scores, score_run


def _random_run(seed, queries=30, documents=60):
    generator = np.random.default_rng(seed)
    run, qrels = {}, {}
    for query in range(queries):
        chosen = generator.choice(documents, generator.integers(1, documents), replace=False)
        # Ten levels only: many ties.
        run[f"q{query}"] = {f"d{d}": float(generator.integers(10)) / 10 for d in chosen}
        judged = generator.choice(documents, 5, replace=False)
        qrels[f"q{query}"] = {f"d{d}": int(generator.integers(0, 3)) for d in judged} | {f"d{judged[0]}": 1}
    return run, qrels


@pytest.mark.parametrize("seed", range(5))
def test_measures_are_those_of_trec_eval_on_runs_with_ties(seed):
    run, qrels = _random_run(seed)
    names = {"ndcg@10": "ndcg_cut_10", "recall@1": "recall_1", "recall@10": "recall_10", "recall@100": "recall_100"}
    names |= {"map": "map", "mrr": "recip_rank"}
    measures = {"map", "recip_rank", "ndcg_cut.10", "recall.1,10,100"}
    expected = pytrec_eval.RelevanceEvaluator(qrels, measures).evaluate(run)
    found = score_run(run, qrels)
    assert set(found) == set(expected)
    for query, scores in found.items():
        for ours, theirs in names.items():
            assert scores[ours] == pytest.approx(expected[query][theirs], abs=1e-9)


def _direct(results, judged, cutoffs=(1, 10, 100)):
    """The measures from their definitions; ties by document id, the last first, scores in float32 as trec_eval."""
    order = sorted(results, key=lambda name: (np.float32(results[name]), name), reverse=True)
    gains = [max(judged.get(name, 0), 0) for name in order]
    relevant = sum(grade > 0 for grade in judged.values())
    hits = [gain > 0 for gain in gains]
    first = next((rank for rank, hit in enumerate(hits, start=1) if hit), None)
    ideal = sorted((max(grade, 0) for grade in judged.values()), reverse=True)

    def dcg(values):
        return sum(value / np.log2(rank + 1) for rank, value in enumerate(values[:10], start=1))

    return {
        "map": sum(sum(hits[:rank]) / rank for rank, hit in enumerate(hits, start=1) if hit) / relevant,
        "mrr": 1 / first if first else 0.0,
        "mrr@10": 1 / first if first and first <= 10 else 0.0,
        "ndcg@10": dcg(gains) / dcg(ideal),
        **{f"recall@{depth}": sum(hits[:depth]) / relevant for depth in cutoffs},
    }


@pytest.mark.parametrize("seed", range(10))
def test_measures_are_those_of_their_definitions_on_runs_with_ties(seed):
    run, qrels = _random_run(seed, queries=20, documents=130 if seed % 2 else 12)
    for query, scores in score_run(run, qrels).items():
        expected = _direct(run[query], qrels[query])
        assert set(scores) == set(expected)
        for name, value in expected.items():
            assert scores[name] == pytest.approx(value, abs=1e-9), (query, name)


def test_all_documents_tied():
    run, qrels = {"q": {f"d{i}": 0.5 for i in range(30)}}, {"q": {"d7": 1, "d8": 2, "d29": 1}}
    assert score_run(run, qrels)["q"] == pytest.approx(_direct(run["q"], qrels["q"]), abs=1e-9)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_measures_are_those_of_ir_measures(seed, tied):
    measures = pytest.importorskip("ir_measures", reason="compares with ir-measures where it is installed")
    run, qrels = _random_run(seed)
    names = {"AP": "map", "RR": "mrr", "nDCG@10": "ndcg@10", "R@1": "recall@1", "R@10": "recall@10"}
    if not tied:
        # ir-measures cuts reciprocal ranks by MS MARCO's script, which breaks ties by another rule than trec_eval.
        names["RR@10"] = "mrr@10"
        run = {query: {name: float(i) for i, name in enumerate(results)} for query, results in run.items()}
    found = score_run(run, qrels)
    seen = 0
    for item in measures.iter_calc([measures.parse_measure(name) for name in names], qrels, run):
        assert found[item.query_id][names[str(item.measure)]] == pytest.approx(item.value, abs=1e-9), item
        seen += 1
    assert seen == len(names) * len(qrels)


@pytest.mark.parametrize(("rank", "expected"), [(1, 1.0), (3, 1 / 3), (10, 0.1), (11, 0.0), (40, 0.0)])
def test_reciprocal_rank_is_cut_after_ten(rank, expected):
    run = {"q": {f"d{position}": -float(position) for position in range(1, 50)}}
    scores = score_run(run, {"q": {f"d{rank}": 1}})["q"]
    assert scores["mrr@10"] == pytest.approx(expected)
    assert scores["mrr"] == pytest.approx(1 / rank)


def test_ties_are_broken_by_the_last_document_id():
    qrels = {"q": {"b": 1}}
    assert score_run({"q": {"a": 1.0, "b": 1.0}}, qrels)["q"]["mrr"] == 1.0
    assert score_run({"q": {"c": 1.0, "b": 1.0}}, qrels)["q"]["mrr"] == 0.5


@pytest.mark.parametrize("run", [{}, {"lost": {}}, {"lost": {"other": 1.0}}])
def test_a_query_without_result_counts_as_zero(run):
    qrels = {"lost": {"d": 1}, "found": {"d": 1}, "nothing relevant": {"d": 0}, "not judged": {}}
    found = score_run({**run, "found": {"d": 1.0}}, qrels)
    assert list(found) == list(qrels)
    for query in ("lost", "nothing relevant", "not judged"):
        assert set(found[query].values()) == {0.0}
    assert mean_scores(found)["map"] == 0.25


def test_a_query_of_the_run_without_judgements_is_refused():
    with pytest.raises(InputError, match="'strange'"):
        score_run({"strange": {"d": 1.0}}, {"q": {"d": 1}})


@pytest.mark.parametrize("score", [float("nan"), np.float32("nan"), None, "high"])
def test_a_score_without_a_place_in_the_order_is_refused_with_its_place(score):
    with pytest.raises(InputError, match=r"'a' for query 'q7' is .*leave the document out"):
        score_run({"q": {"b": 1.0}, "q7": {"a": score, "b": 1.0}}, {"q": {"b": 1}, "q7": {"b": 1}})


def test_infinite_scores_have_a_place():
    found = score_run({"q": {"a": float("inf"), "b": 1.0, "c": float("-inf")}}, {"q": {"b": 1}})
    assert found["q"]["mrr"] == 0.5


@pytest.mark.parametrize("kind", [int, bool, np.int64, np.uint8])
def test_judgements_are_whole_numbers_of_any_type(kind):
    found = score_run({"q": {"a": 1.0, "b": 0.5}}, {"q": {"a": kind(0), "b": kind(1)}})
    assert found["q"]["mrr"] == 0.5


@pytest.mark.parametrize("grade", [0.5, np.float64(1), None, "1"])
def test_other_judgements_are_refused_with_their_place(grade):
    with pytest.raises(InputError, match=r"'a' for query 'q' is .*whole numbers"):
        score_run({"q": {"a": 1.0}}, {"q": {"a": grade}})


def test_a_cutoff_of_zero_is_refused():
    with pytest.raises(InputError, match="cutoffs"):
        score_run({}, {"q": {"d": 1}}, cutoffs=(0,))


def test_mean_of_nothing_is_empty():
    assert mean_scores({}) == {}
