"""Fusion by reciprocal ranks: its formula, its ties, and rankings of which one finds what the other misses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_optical.data.retrieval import RetrievalSet
from hf_optical.errors import InputError
from hf_optical.evaluation.fusion import fuse_runs, ranked, reciprocal_rank_fusion
from hf_optical.evaluation.retrieval import scores_of_run


def test_the_score_is_the_sum_of_reciprocal_ranks():
    fused = reciprocal_rank_fusion([["a", "b", "c"], ["c", "a"]], smoothing=60)
    assert fused == {"a": 1 / 61 + 1 / 62, "c": 1 / 63 + 1 / 61, "b": 1 / 62}
    assert list(fused) == ["a", "c", "b"]
    with pytest.raises(InputError, match="positive"):
        reciprocal_rank_fusion([["a"]], smoothing=0)


@given(st.permutations(list("abcdefgh")), st.permutations(list("abcdefgh")))
def test_a_document_that_is_ahead_in_both_rankings_is_ahead_in_the_fused_one(first, second):
    fused = list(reciprocal_rank_fusion([first, second]))
    for one in first:
        for other in first:
            if first.index(one) < first.index(other) and second.index(one) < second.index(other):
                assert fused.index(one) < fused.index(other)


def test_one_ranking_fused_with_itself_stays_as_it_is():
    run = {"q": {"a": 0.3, "b": 0.9, "c": 0.5}}
    assert list(fuse_runs([run, run])["q"]) == ["b", "c", "a"]


def test_equal_scores_are_ranked_as_trec_eval_ranks_them():
    item = RetrievalSet("s", "swh_Latn", "eng_Latn", {"q": "x"}, {"a": "1", "b": "2"}, {"q": {"a": 1}}, None)
    assert ranked({"a": 1.0, "b": 1.0}) == ["b", "a"]
    assert scores_of_run(item, {"q": {"a": 1.0, "b": 1.0}}).metrics["mrr"] == 0.5


def test_what_either_finds_is_found_and_the_depth_holds():
    vectors = {"q": {"a": 0.9, "b": 0.8, "c": 0.1}, "only vectors": {"a": 1.0}}
    words = {"q": {"d": 7.0, "b": 3.0}}
    fused = fuse_runs([vectors, words])
    assert next(iter(fused["q"])) == "b" and set(fused["q"]) == set("abcd")
    assert list(fused["only vectors"]) == ["a"]
    assert len(fuse_runs([vectors, words], depth=2)["q"]) == 2
