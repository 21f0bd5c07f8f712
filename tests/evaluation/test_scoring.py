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


def test_a_cutoff_of_zero_is_refused():
    with pytest.raises(InputError, match="cutoffs"):
        score_run({}, {"q": {"d": 1}}, cutoffs=(0,))


def test_mean_of_nothing_is_empty():
    assert mean_scores({}) == {}
