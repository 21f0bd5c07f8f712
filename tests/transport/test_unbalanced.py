"""Unbalanced plans: the problem that they solve, its limits, and what they are for."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hf_optical.errors import InputError
from hf_optical.transport.cost import cosine_cost, transport_cost
from hf_optical.transport.marginals import uniform_marginals
from hf_optical.transport.sinkhorn import Sinkhorn
from hf_optical.transport.unbalanced import unbalanced_plan


@pytest.fixture
def problem():
    draw = torch.Generator().manual_seed(0)
    cost = 1.5 * torch.rand(3, 4, 6, generator=draw)
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0]]), torch.tensor([[1] * 6, [1] * 4 + [0] * 2, [1] * 6])
    return cost, uniform_marginals(mask[0]), uniform_marginals(mask[1])


def _objective(plan, cost, a, b, epsilon, reach):
    def divergence(p, q):
        return float((p * np.log(p / q) - p + q).sum())

    parts = divergence(plan.sum(1), a) + divergence(plan.sum(0), b)
    return float((plan * cost).sum()) + epsilon * divergence(plan, np.outer(a, b)) + reach * parts


@pytest.mark.parametrize("reach", [0.1, 0.5, 3.0])
def test_no_plan_nearby_is_better(problem, reach):
    cost, a, b = problem
    found = unbalanced_plan(cost, a, b, 0.1, reach, iterations=2000)[0].double().numpy()
    one = [side[0].double().numpy() for side in problem]
    best = _objective(found, *one, 0.1, reach)
    draw = np.random.default_rng(0)
    for size in (0.01, 0.1):
        for _ in range(200):
            other = found * np.exp(size * draw.normal(size=found.shape))
            assert _objective(other, *one, 0.1, reach) >= best - 1e-7


def test_far_reach_is_sinkhorn(problem):
    cost, a, b = problem
    torch.testing.assert_close(
        unbalanced_plan(cost, a, b, 0.2, 1e5, iterations=500), Sinkhorn(epsilon=0.2)(cost, a, b), atol=1e-4, rtol=0
    )


def test_padding_is_never_read(problem):
    cost, a, b = problem
    real = (a > 0).unsqueeze(2) & (b > 0).unsqueeze(1)
    torch.testing.assert_close(
        unbalanced_plan(cost.masked_fill(~real, torch.nan), a, b), unbalanced_plan(cost.masked_fill(~real, 0), a, b)
    )
    assert (unbalanced_plan(cost, a, b)[~real] == 0).all()


def test_words_without_a_counterpart_stay_where_they_are():
    """A sentence against four fifths of its own tokens: balanced transport charges for the missing fifth."""
    tokens = torch.randn(1, 10, 32, generator=torch.Generator().manual_seed(0))
    cost = cosine_cost(tokens, tokens[:, :8])
    a, b = torch.full((1, 10), 0.1), torch.full((1, 8), 0.125)
    balanced = Sinkhorn(epsilon=0.05)(cost, a, b)
    plan = unbalanced_plan(cost, a, b, 0.05, 0.2)
    per_mass = [float(transport_cost(p, cost) / p.sum()) for p in (balanced, plan)]
    assert per_mass[0] > 0.15 > 0.02 > per_mass[1]
    assert 0.6 < float(plan.sum()) < 0.95


def test_bad_settings_are_named(problem):
    for name in ("epsilon", "reach"):
        with pytest.raises(InputError, match=name):
            unbalanced_plan(*problem, **{name: 0.0})
