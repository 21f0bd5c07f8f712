"""Chunked search against brute force, with ties and uneven chunks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_optical.encoders.token_vectors import TokenVectors
from hf_optical.errors import InputError
from hf_optical.evaluation import search
from hf_optical.evaluation.search import search_dense, search_multi_vector


def _brute_force(scores, k):
    order = np.lexsort((np.arange(scores.shape[1])[None].repeat(len(scores), 0), -scores), axis=1)[:, :k]
    return np.take_along_axis(scores, order, axis=1), order


def _maxsim(queries, documents):
    return np.array([[(q @ d.T).max(axis=1).sum() for d in documents] for q in queries], dtype=np.float32)


@settings(max_examples=40, deadline=None)
@given(
    queries=st.integers(1, 9),
    documents=st.integers(1, 40),
    k=st.integers(1, 45),
    chunk=st.integers(1, 50),
    seed=st.integers(0, 10**6),
)
def test_dense_search_equals_brute_force_with_ties(queries, documents, k, chunk, seed):
    generator = np.random.default_rng(seed)
    # Small integers: products are exact, and ties are many.
    q = generator.integers(-2, 3, (queries, 3)).astype(np.float32)
    d = generator.integers(-2, 3, (documents, 3)).astype(np.float32)
    scores, indices = search_dense(q, d, k, chunk, similarity="dot")
    expected_scores, expected = _brute_force(q @ d.T, k)
    np.testing.assert_array_equal(scores, expected_scores)
    np.testing.assert_array_equal(indices, expected)


@settings(max_examples=25, deadline=None)
@given(
    queries=st.integers(1, 5),
    documents=st.integers(1, 20),
    k=st.integers(1, 25),
    chunk=st.integers(1, 25),
    seed=st.integers(0, 10**6),
)
def test_multi_vector_search_equals_brute_force_with_ties(queries, documents, k, chunk, seed):
    generator = np.random.default_rng(seed)

    def texts(count):
        return [generator.integers(-2, 3, (generator.integers(1, 6), 3)).astype(np.float32) for _ in range(count)]

    q, d = texts(queries), texts(documents)
    scores, indices = search_multi_vector(q, d, k, chunk)
    expected_scores, expected = _brute_force(_maxsim(q, d), k)
    np.testing.assert_array_equal(scores, expected_scores)
    np.testing.assert_array_equal(indices, expected)


def test_more_queries_than_a_block_holds(monkeypatch):
    monkeypatch.setattr(search, "_QUERY_CHUNK", 4)
    monkeypatch.setattr(search, "_MAXSIM_QUERY_CHUNK", 4)
    generator = np.random.default_rng(0)
    q, d = generator.integers(-3, 4, (11, 4)).astype("f"), generator.integers(-3, 4, (17, 4)).astype("f")
    np.testing.assert_array_equal(search_dense(q, d, 5, 6, similarity="dot")[1], _brute_force(q @ d.T, 5)[1])
    q_tokens, d_tokens = [q[i : i + 3] for i in range(9)], [d[i : i + 4] for i in range(13)]
    found = search_multi_vector(q_tokens, d_tokens, 5, 6, max_elements=50)[1]
    np.testing.assert_array_equal(found, _brute_force(_maxsim(q_tokens, d_tokens), 5)[1])


def test_cosine_ignores_length_and_a_zero_vector_scores_zero():
    scores, indices = search_dense(np.array([[2.0, 0.0]]), np.array([[0.0, 0.0], [1.0, 1.0], [9.0, 0.0]]), k=3)
    assert indices.tolist() == [[2, 1, 0]]
    np.testing.assert_allclose(scores, [[1.0, 0.5**0.5, 0.0]], atol=1e-6)


def test_half_precision_and_memory_mapped_documents(tmp_path):
    documents = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float16)
    np.save(tmp_path / "d.npy", documents)
    mapped = np.load(tmp_path / "d.npy", mmap_mode="r")
    scores, indices = search_dense(documents[:3].astype("f"), mapped, 1, 7)
    assert indices.ravel().tolist() == [0, 1, 2]
    assert scores.dtype == np.float32


def test_token_vectors_in_another_order_of_rows():
    rows = np.arange(8, dtype=np.float32).reshape(4, 2)
    tokens = TokenVectors(rows, starts=np.array([2, 0]), lengths=np.array([2, 2]))
    assert tokens[0].tolist() == [[4, 5], [6, 7]]
    assert [len(text) for text in tokens] == [2, 2]
    assert search_multi_vector([np.ones((1, 2), "f")], tokens, 2)[1].tolist() == [[0, 1]]
    with pytest.raises(IndexError):
        tokens[2]


def test_no_documents_and_no_queries():
    assert search_dense(np.ones((2, 3)), np.ones((0, 3)), 4)[1].shape == (2, 0)
    assert search_dense(np.ones((0, 3)), np.ones((5, 3)), 4)[0].shape == (0, 4)
    assert search_multi_vector([np.ones((1, 3), "f")], [], 4)[1].shape == (1, 0)


def test_bad_input_is_named():
    with pytest.raises(InputError, match="k is 0"):
        search_dense(np.ones((1, 2)), np.ones((1, 2)), 0)
    with pytest.raises(InputError, match="2 dimensions and the documents 3"):
        search_dense(np.ones((1, 2)), np.ones((1, 3)), 1)
    with pytest.raises(InputError, match="2 dimensions and the documents 3"):
        search_multi_vector([np.ones((1, 2))], [np.ones((1, 3))], 1)
