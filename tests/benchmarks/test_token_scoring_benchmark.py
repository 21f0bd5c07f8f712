"""The benchmark's shared product gives what the package's reranker gives, and planted differences are found."""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import pytest
import tiny_models

from hf_optical.evaluation.token_scoring import TokenScoring
from hf_optical.search.index import Hit
from hf_optical.search.reranking import order_by_tokens

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def modules(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return {name: importlib.import_module(name) for name in ("token_scoring", "token_scoring_readings", "token_store")}


@pytest.fixture
def texts():
    words = tiny_models.ENGLISH
    return [" ".join(words[(i * j + i) % 20] for j in range(2 + i % 5)) for i in range(12)]


def test_readings_are_those_of_the_reranker(modules, texts, tmp_path):
    model = tiny_models.dense(tmp_path / "model")
    store = modules["token_store"].encoded
    queries = store(lambda: model, texts[:4], "query", tmp_path / "q.npz")
    documents = store(lambda: model, texts, "document", tmp_path / "d.npz")
    assert np.array_equal(store(None, texts, "document", tmp_path / "d.npz").tokens, documents.tokens)  # read, not made
    means = [side.content_mean() for side in (queries, documents)]
    found = np.array([[3, 1, 7, 11], [0, 2, 4, 6], [5, 6, 7, 8], [9, 1, 2, 3]])
    epsilon = modules["token_scoring"].EPSILON
    rows = list(modules["token_scoring_readings"].Readings(queries, documents, *means, (epsilon,)).all(found))
    ways = {
        "maxsim": (TokenScoring(), False, True),
        "centred maxsim": (TokenScoring("maxsim", *means), True, True),
        "soft, not centred": (TokenScoring("soft"), True, False),
        "soft": (TokenScoring("soft", *means), True, False),
        "balanced": (TokenScoring("balanced", *means), True, False),
    }
    assert set(rows[0]) == set(ways)
    for name, (how, content, summed) in ways.items():
        asked = queries.token_lists(content_only=content)
        vectors = {str(i): one for i, one in enumerate(documents.token_lists(content_only=content))}
        for query, line, row in zip(asked, found, rows, strict=True):
            (hits,) = order_by_tokens([query], [[Hit(str(place), 0.0) for place in line]], vectors, 4, how)
            scores = {hit.id: hit.score / (len(query) if summed else 1) for hit in hits}
            np.testing.assert_allclose(row[name].numpy(), [scores[str(place)] for place in line], atol=2e-4)


def test_a_planted_difference_is_found_over_languages_jointly(modules):
    draw = np.random.default_rng(0)

    def language(gain):
        base = {f"q{i}": draw.uniform(0, 0.8) for i in range(100)}
        other = {query: value + gain + draw.normal(0, 0.05) for query, value in base.items()}
        return {side: {q: np.array(v) for q, v in rows.items()} for side, rows in (("maxsim", base), ("soft", other))}

    claim = modules["token_scoring"]._claim("passages", {"so": language(0.05), "tl": language(0.03)}, "soft", "maxsim")
    assert claim["difference"] == pytest.approx(0.04, abs=0.01) and claim["p"] < 0.001
    none = modules["token_scoring"]._claim("passages", {"so": language(0.0)}, "soft", "maxsim")
    assert none["p"] > 0.05
