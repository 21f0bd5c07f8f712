"""Measures of language bias against slow direct computation, and their edges."""

from __future__ import annotations

from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from hf_optical.errors import InputError
from hf_optical.evaluation.bias import (
    language_share,
    mean_rank_correlation,
    rank_distance,
    ranks_of,
    relevance_share,
    worst_language,
)


def _rank(row, document):
    """One more than what is above, plus half of what is tied with it."""
    above = sum(score > row[document] for score in row)
    tied = sum(score == row[document] for score in row)
    return above + (tied + 1) / 2


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), queries=st.integers(1, 6), documents=st.integers(2, 15))
def test_rank_distance_and_correlation_equal_the_direct_computation(seed, queries, documents):
    generator = np.random.default_rng(seed)
    scores = {name: generator.integers(0, 8, (queries, documents)) / 8 for name in ("eng", "swh", "som")}
    relevant = generator.random((queries, documents)) < 0.4
    first = scores["eng"]
    expected = []
    for row, flags in zip(first, relevant, strict=True):
        ranks = [_rank(row, document) for document in range(documents) if flags[document]]
        expected.append(max(ranks) - min(ranks) if ranks else np.nan)
    np.testing.assert_allclose(rank_distance(first, relevant), expected)
    pairs = [
        spearmanr(scores[a][query], scores[b][query]).statistic
        for a, b in combinations(scores, 2)
        for query in range(queries)
        if len(set(scores[a][query])) > 1 and len(set(scores[b][query])) > 1
    ]
    direct = np.mean(pairs) if pairs else np.nan
    np.testing.assert_allclose(mean_rank_correlation(scores), direct, atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), documents=st.integers(1, 6), k=st.integers(1, 7))
def test_language_share_is_the_mean_over_every_order_of_the_ties(seed, documents, k):
    generator = np.random.default_rng(seed)
    row = generator.integers(0, 3, documents).astype(float)
    row[generator.random(documents) < 0.2] = -np.inf  # not retrieved
    languages = [("eng", "swh")[index] for index in generator.integers(0, 2, documents)]
    shares = []
    for order in permutations(range(documents)):
        ranked = [index for index in sorted(order, key=lambda index: -row[index]) if row[index] > -np.inf][:k]
        if ranked:
            shares.append(np.mean([languages[index] == "eng" for index in ranked]))
    found = language_share(row[None], languages, k)
    if not shares:
        assert np.isnan(list(found.values())).all()
        return
    assert found.get("eng", 0.0) == pytest.approx(np.mean(shares), abs=1e-12)
    assert sum(found.values()) == pytest.approx(1.0)


def test_one_language():
    scores = np.array([[3.0, 2.0, 1.0]])
    assert rank_distance(scores, np.array([[False, True, False]])).tolist() == [0.0]
    assert np.isnan(mean_rank_correlation({"eng": scores}))
    assert language_share(scores, ["eng"] * 3, 2) == {"eng": 1.0}


def test_nothing_retrieved():
    scores = np.full((2, 4), -np.inf)
    relevant = np.array([[True, True, False, False]] * 2)
    assert rank_distance(scores, relevant).tolist() == [0.0, 0.0]
    assert np.isnan(language_share(scores, ["eng", "swh"] * 2, 2)["eng"])
    assert np.isnan(mean_rank_correlation({"eng": scores, "swh": scores}))


def test_a_query_that_retrieves_less_than_k():
    scores = np.array([[1.0, -np.inf, -np.inf]])
    assert language_share(scores, ["eng", "swh", "swh"], 2) == {"eng": 1.0, "swh": 0.0}


def test_all_tied():
    scores = np.ones((1, 4))
    assert rank_distance(scores, np.array([[True, False, False, True]])).tolist() == [0.0]
    assert language_share(scores, ["eng", "swh", "swh", "swh"], 2) == {"eng": 0.25, "swh": 0.75}
    ranked = np.array([[1.0, 2.0, 3.0, 4.0]])
    assert np.isnan(mean_rank_correlation({"eng": scores, "swh": ranked}))


def test_the_order_of_the_corpus_decides_nothing():
    generator = np.random.default_rng(0)
    scores, relevant = generator.integers(0, 4, (5, 12)) / 4, generator.random((5, 12)) < 0.3
    shuffled = generator.permutation(12)
    np.testing.assert_allclose(
        rank_distance(scores, relevant), rank_distance(scores[:, shuffled], relevant[:, shuffled])
    )


def test_perfect_and_opposite_rankings():
    scores = np.random.default_rng(0).random((3, 20))
    assert mean_rank_correlation({"eng": scores, "swh": 5 * scores + 1}) == pytest.approx(1.0)
    assert mean_rank_correlation({"eng": scores, "swh": -scores}) == pytest.approx(-1.0)


def test_relevance_share_leaves_out_queries_without_relevant_documents():
    relevant = np.array([[True, True, False], [False, False, True], [False, False, False]])
    assert relevance_share(relevant, ["eng", "swh", "swh"]) == {"eng": 0.25, "swh": 0.75}


def test_worst_language():
    assert worst_language({"eng": 0.5, "swh": 0.1, "som": 0.1}) == ("swh", 0.1)
    with pytest.raises(InputError, match="no language"):
        worst_language({})


def test_bad_shapes_are_named():
    with pytest.raises(InputError, match=r"\(1, 2\) and relevance \(1, 3\)"):
        rank_distance(np.ones((1, 2)), np.ones((1, 3)))
    with pytest.raises(InputError, match="NaN"):
        ranks_of(np.array([[np.nan]]))
    with pytest.raises(InputError, match="different shapes"):
        mean_rank_correlation({"eng": np.ones((1, 2)), "swh": np.ones((1, 3))})
    with pytest.raises(InputError, match="2 languages for 3 documents"):
        language_share(np.ones((1, 3)), ["eng", "swh"], 1)
