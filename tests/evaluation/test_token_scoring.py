"""Scores of ragged token vectors against the pure functions, in search and in evaluation."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_models
import torch
from tiny_sets import write_retrieval_set

from hf_optical.commands.options.evaluate import EvaluateConfig
from hf_optical.commands.options.search import SearchConfig
from hf_optical.data.retrieval import read_retrieval_set
from hf_optical.encoders.token_means import TokenMeans, token_mean
from hf_optical.errors import InputError
from hf_optical.evaluation.multilingual import evaluate_multilingual
from hf_optical.evaluation.multilingual_set import read_multilingual_set
from hf_optical.evaluation.retrieval import evaluate_retrieval
from hf_optical.evaluation.search import search_multi_vector
from hf_optical.evaluation.token_scoring import EPSILON, TokenScoring
from hf_optical.transport.soft_scores import balanced_scores, centred_units, soft_scores

ONE = torch.ones(1, 1, dtype=torch.bool)


@pytest.fixture
def tokens():
    draw = np.random.default_rng(0)

    def texts(lengths):
        rows = [draw.normal(size=(n, 6)).astype(np.float32) + 1 for n in lengths]
        return [one / np.linalg.norm(one, axis=1, keepdims=True) for one in rows]

    return texts([3, 1, 5]), texts([4, 9, 1, 2, 7, 7])


@pytest.mark.parametrize("kind", ["soft", "balanced"])
@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("most", [10**6, 20])
def test_every_pair_is_scored_as_if_alone(tokens, kind, centred, most):
    queries, documents = tokens
    means = [np.concatenate(side).mean(0) if centred else None for side in tokens]
    scoring = TokenScoring(kind, *means, epsilon=0.2)
    tensors = [[torch.from_numpy(one) for one in side] for side in tokens]
    found = scoring.scores(*tensors, max_elements=most)
    score = {"soft": soft_scores, "balanced": balanced_scores}[kind]
    ready = [
        [centred_units(one, None if mean is None else torch.from_numpy(mean)) for one in side]
        for side, mean in zip(tensors, means, strict=True)
    ]
    for row, query in enumerate(ready[0]):
        for column, document in enumerate(ready[1]):
            masks = ONE.expand(1, len(query)), ONE.expand(1, len(document))
            alone = score((query @ document.T).unsqueeze(0), *masks, 0.2)
            assert float(found[row, column]) == pytest.approx(float(alone), abs=1e-5)
    scores, order = search_multi_vector(queries, documents, 3, chunk_size=4, scoring=scoring)
    np.testing.assert_array_equal(order, np.argsort(-found.numpy(), axis=1, kind="stable")[:, :3])
    np.testing.assert_allclose(scores, np.take_along_axis(found.numpy(), order, 1), atol=1e-6)


def test_bad_settings_are_named():
    with pytest.raises(InputError, match="scoring"):
        TokenScoring("colbert")
    with pytest.raises(InputError, match="epsilon"):
        TokenScoring("soft", epsilon=0)
    with pytest.raises(InputError, match="no mean token of som_Latn"):
        TokenScoring.centred("soft", None, "so")
    assert TokenScoring.centred("maxsim", None, "so") == TokenScoring()


@pytest.fixture
def scored(tmp_path):
    model = tiny_models.dense(tmp_path / "model")
    texts = [f"the {a} {b} near the {a}" for a, b in zip(tiny_models.ENGLISH, tiny_models.ENGLISH[3:], strict=False)]
    folder = write_retrieval_set(tmp_path / "set", {"en": texts, "sw": texts}, {"sw": texts, "en": texts})
    mean = token_mean(model, texts, "document")
    return model, folder, TokenMeans({"swh_Latn": mean, "eng_Latn": mean}, mean)


@pytest.mark.parametrize("scoring", ["soft", "balanced"])
def test_evaluation_by_each_score(scored, scoring):
    model, folder, means = scored
    item = read_retrieval_set(folder, "sw", "en")
    found = evaluate_retrieval(model, item, interaction="maxsim", scoring=scoring, means=means)
    assert found.n == len(item.queries) and found.metrics["recall@1"] == 1.0
    many = evaluate_multilingual(
        model, read_multilingual_set(folder), interaction="maxsim", scoring=scoring, means=means, metric="map"
    )
    assert many.pairs["swh_Latn", "eng_Latn"].per_query == found.per_query
    with pytest.raises(InputError, match="compares token vectors"):
        evaluate_retrieval(model, item, scoring=scoring, means=means)
    with pytest.raises(InputError, match="no mean token of swh_Latn"):
        evaluate_retrieval(model, item, interaction="maxsim", scoring=scoring)


def test_the_commands_have_the_default_that_was_chosen():
    assert SearchConfig(teacher="t").epsilon == EvaluateConfig(model="m", eval=["e"]).epsilon == EPSILON
