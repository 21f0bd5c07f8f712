import logging

import pytest
import torch

from hf_optical.transport import IPOT, Exact, Sinkhorn, uniform_marginals
from hf_optical.transport.misplaced import misplaced_shares


def batch(seed=0, rows=9, columns=14):
    cost = torch.rand(6, rows, columns, generator=torch.Generator().manual_seed(seed))
    return cost, *(uniform_marginals(torch.ones(6, size)) for size in (rows, columns))


@pytest.mark.parametrize("solver", [IPOT(), Sinkhorn(), Exact()])
def test_the_defaults_are_not_warned_of(solver, caplog):
    with caplog.at_level(logging.WARNING):
        for seed in range(4):
            solver(*batch(seed))
    assert not caplog.records


def test_an_epsilon_too_small_for_its_iterations_is_warned_of_once_with_the_figure(caplog):
    solver = Sinkhorn(epsilon=0.003, iterations=7)
    cost, a, b = batch()
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            plan = solver(cost, a, b)
    (record,) = caplog.records
    share = float(torch.maximum((plan.sum(2) - a).abs().sum(1), (plan.sum(1) - b).abs().sum(1)).mean()) / 2
    assert share > 0.05
    assert f"misplace {100 * share:.1f} % of the mass (mean of 6 pairs" in record.getMessage()
    assert "epsilon=0.003" in record.getMessage() and "iterations=7" in record.getMessage()


def test_shares_are_kept_where_asked_for():
    with misplaced_shares() as shares:
        Sinkhorn(epsilon=0.003, iterations=8)(*batch())
        Exact()(*batch())
    assert shares[0] > 0.05 and shares[1] == pytest.approx(0, abs=1e-6)
