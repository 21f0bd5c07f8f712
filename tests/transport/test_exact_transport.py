"""The exact solver against POT's own cost."""

import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_optical.errors import InputError
from hf_optical.transport import Exact


@given(seed=st.integers(0, 2**31 - 1), uniform=st.booleans())
@settings(max_examples=10, deadline=None)
def test_cost_equals_emd2(make_batch, seed, uniform):
    cost, a, b = make_batch(seed, uniform=uniform)
    plan, total, violation = Exact().solve(cost, a, b)
    for pair in range(len(cost)):
        i, j = a[pair] > 0, b[pair] > 0
        theirs = ot.emd2(a[pair][i].numpy(), b[pair][j].numpy(), cost[pair][i][:, j].contiguous().numpy())
        assert total[pair].item() == pytest.approx(theirs, abs=1e-9)
        assert (plan[pair] > 0).sum() <= i.sum() + j.sum() - 1
    assert violation.max() < 1e-9


def test_unequal_lengths_leave_a_floor():
    generator = torch.Generator().manual_seed(0)
    tokens = torch.nn.functional.normalize(torch.randn(10, 32, generator=generator), dim=1)
    costs = {}
    for copies in (10, 13, 20):
        student = tokens[torch.arange(copies) % 10]
        cost = (1 - student @ tokens.T)[None]
        a, b = torch.full((1, copies), 1 / copies), torch.full((1, 10), 0.1)
        costs[copies] = Exact().solve(cost, a, b).cost.item()
    assert costs[10] == pytest.approx(0, abs=1e-5)
    assert costs[20] == pytest.approx(0, abs=1e-5)
    assert costs[13] > 0.1


def test_squared_euclidean_distance_of_unit_vectors_has_the_plan_of_the_cosine_cost():
    generator = torch.Generator().manual_seed(1)
    student, teacher = (
        torch.nn.functional.normalize(torch.randn(2, k, 16, generator=generator), dim=2) for k in (9, 7)
    )
    cost = 1 - student @ teacher.transpose(1, 2)
    a, b = torch.full((2, 9), 1 / 9), torch.full((2, 7), 1 / 7)
    assert (Exact()(cost, a, b) - Exact()(torch.cdist(student, teacher) ** 2, a, b)).abs().max() < 1e-6


@pytest.mark.filterwarnings("ignore:numItermax")
def test_too_few_pivots_are_an_error_not_a_wrong_plan(make_batch):
    with pytest.raises(InputError, match=r"did not finish pair 0.*raise max_iterations, or use IPOT"):
        Exact(max_iterations=1)(*make_batch(2))
