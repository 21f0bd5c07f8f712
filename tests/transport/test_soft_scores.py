"""Scores by transport against a loop in double precision, and what they must not depend on."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from hf_optical.errors import InputError
from hf_optical.transport import soft_scores as module
from hf_optical.transport.aligned import aligned_cost
from hf_optical.transport.exact import Exact
from hf_optical.transport.marginals import uniform_marginals
from hf_optical.transport.soft_scores import (
    balanced_scores,
    balanced_token_scores,
    centred_units,
    maxsim_scores,
    soft_scores,
)

LENGTHS = [(4, 7), (1, 3), (5, 1), (6, 6)]


@pytest.fixture
def batch():
    """Padded unit tokens with rubbish on the padding; their cosines; the masks."""
    draw = torch.Generator().manual_seed(0)
    queries, documents = torch.full((4, 6, 8), 50.0), torch.full((4, 7, 8), -50.0)
    query_mask, document_mask = torch.zeros(4, 6, dtype=torch.bool), torch.zeros(4, 7, dtype=torch.bool)
    for row, (n, m) in enumerate(LENGTHS):
        queries[row, :n] = centred_units(torch.randn(n, 8, generator=draw), None)
        documents[row, :m] = centred_units(torch.randn(m, 8, generator=draw), None)
        query_mask[row, :n], document_mask[row, :m] = True, True
    return queries @ documents.transpose(1, 2), query_mask, document_mask, queries, documents


def _soft_by_loop(similarity, n, m, epsilon):
    total = 0.0
    for i in range(n):
        row = [float(similarity[i, j]) for j in range(m)]
        weights = [math.exp((value - max(row)) / epsilon) for value in row]
        total += sum(w * v for w, v in zip(weights, row, strict=True)) / sum(weights)
    return total / n


@pytest.mark.parametrize("epsilon", [0.02, 0.1, 1.0])
def test_soft_is_the_formula(batch, epsilon):
    similarity, query_mask, document_mask, *_ = batch
    found = soft_scores(similarity, query_mask, document_mask, epsilon)
    for row, (n, m) in enumerate(LENGTHS):
        assert float(found[row]) == pytest.approx(_soft_by_loop(similarity[row], n, m, epsilon), abs=1e-5)


def test_soft_goes_from_maxsim_to_the_mean(batch):
    similarity, *masks = batch[:3]
    torch.testing.assert_close(soft_scores(similarity, *masks, 1e-4), maxsim_scores(similarity, *masks))
    wide = soft_scores(similarity, *masks, 1e4)
    for row, (n, m) in enumerate(LENGTHS):
        assert float(wide[row]) == pytest.approx(float(similarity[row, :n, :m].mean()), abs=1e-4)


def test_one_query_against_many_documents_broadcasts(batch):
    similarity, query_mask, document_mask, queries, documents = batch
    against = queries[0, :4] @ documents.transpose(1, 2)
    real = torch.ones(1, 4, dtype=torch.bool)
    many = soft_scores(against, real, document_mask, 0.1)
    assert float(many[0]) == pytest.approx(float(soft_scores(similarity, query_mask, document_mask, 0.1)[0]), abs=1e-6)


def _sinkhorn_by_loop(similarity, n, m, epsilon):
    kernel = np.exp((similarity[:n, :m].double().numpy() - 1) / epsilon)
    row, column = np.ones(n), np.ones(m)
    for _ in range(2000):
        row = (1 / n) / (kernel @ column)
        column = (1 / m) / (kernel.T @ row)
    return float((row[:, None] * kernel * column * similarity[:n, :m].double().numpy()).sum())


@pytest.mark.parametrize("epsilon", [0.1, 0.3])
def test_balanced_is_sinkhorns_plan(batch, epsilon):
    similarity, *masks = batch[:3]
    found = balanced_scores(similarity, *masks, epsilon, iterations=300)
    for row, (n, m) in enumerate(LENGTHS):
        assert float(found[row]) == pytest.approx(_sinkhorn_by_loop(similarity[row], n, m, epsilon), abs=1e-4)


def test_twenty_iterations_are_enough_for_the_score(batch):
    similarity, *masks = batch[:3]
    few, many = (balanced_scores(similarity, *masks, 0.1, iterations) for iterations in (20, 500))
    torch.testing.assert_close(few, many, atol=2e-3, rtol=0)


def test_balanced_comes_near_the_exact_transport_and_below_maxsim(batch):
    similarity, *masks = batch[:3]
    a, b = (uniform_marginals(mask) for mask in masks)
    exact = (Exact()(1 - similarity, a, b) * similarity).sum(dim=(1, 2))
    found = balanced_scores(similarity, *masks, 0.03, iterations=500)
    torch.testing.assert_close(found, exact, atol=0.02, rtol=0)
    assert (found <= maxsim_scores(similarity, *masks) + 1e-5).all()


def test_the_kernel_says_the_same_where_it_fits(batch, monkeypatch):
    """The kernel itself is tested elsewhere: here, that a cost becomes the right score."""
    document_mask, queries, documents = batch[2:]
    documents = documents.masked_fill(~document_mask.unsqueeze(-1), 0)
    plain = balanced_token_scores(queries[0, :4], documents, document_mask)

    def kernel(student, teacher, a, b, solver, *, fits):
        def align(cost):
            plan = solver(cost, a, b)
            return plan, plan

        return aligned_cost(student, teacher, align)[0]

    monkeypatch.setattr(module, "fused_fits", lambda *_: True)
    monkeypatch.setattr(module, "fused_transport", kernel)
    torch.testing.assert_close(balanced_token_scores(queries[0, :4], documents, document_mask), plain)


def test_centring_takes_a_common_direction_off():
    draw = torch.Generator().manual_seed(1)
    tokens = centred_units(torch.randn(300, 8, generator=draw) + 4 * torch.eye(8)[0], None)
    centred = centred_units(tokens, tokens.mean(0))
    assert (tokens @ tokens.T).mean() > 0.5 > 0.05 > (centred @ centred.T).mean().abs()
    torch.testing.assert_close(centred.norm(dim=-1), torch.ones(300))


def test_bad_input_is_named(batch):
    similarity, query_mask, document_mask, *_ = batch
    with pytest.raises(InputError, match="epsilon"):
        soft_scores(similarity, query_mask, document_mask, 0.0)
    with pytest.raises(InputError, match="a document has no token"):
        soft_scores(similarity, query_mask, torch.zeros_like(document_mask))
