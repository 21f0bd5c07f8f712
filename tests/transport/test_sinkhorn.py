"""Sinkhorn against POT's, on the kernel and on logarithms."""

import ot
import pytest
import torch

from hf_optical.errors import InputError
from hf_optical.transport import Exact, Sinkhorn

both_domains = pytest.mark.parametrize("epsilon", [0.1, 0.05, 0.03, 0.02])


@both_domains
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_converged_plan_equals_log_sinkhorn_of_pot(make_batch, epsilon, dtype):
    cost, a, b = make_batch(1, uniform=False)
    ours = Sinkhorn(epsilon=epsilon, iterations=3000)(cost.to(dtype), a.to(dtype), b.to(dtype))
    i, j = a.numpy() > 0, b.numpy() > 0
    for pair in range(len(cost)):
        part = cost[pair][i[pair]][:, j[pair]]
        theirs = ot.batch.solve_batch(
            part[None],
            epsilon,
            a=a[pair][i[pair]][None],
            b=b[pair][j[pair]][None],
            method="log_sinkhorn",
            max_iter=3000,
            tol=1e-9,
        ).plan[0]
        assert (ours[pair][i[pair]][:, j[pair]] - theirs).abs().max() < 1e-5


@pytest.mark.parametrize("iterations", [1, 7, 100])
def test_kernel_and_logarithms_take_the_same_steps(make_batch, iterations):
    batch = make_batch(2, uniform=False)
    solver = Sinkhorn(epsilon=0.05, iterations=iterations)
    assert (solver._in_logarithms(*batch) - solver._on_kernel(*batch)).abs().max() < 1e-12


@both_domains
@pytest.mark.parametrize("tolerance", [1e-1, 1e-2, 1e-4])
def test_tolerance_bounds_the_violation_reported(make_batch, epsilon, tolerance):
    cost, a, b = make_batch(3)
    loose = Sinkhorn(epsilon=epsilon, iterations=5000, tolerance=tolerance).solve(cost, a, b)
    assert loose.violation.max() <= tolerance
    full = Sinkhorn(epsilon=epsilon, iterations=5000).solve(cost, a, b)
    assert full.violation.max() < loose.violation.max()  # the loose one did stop early


def test_a_tolerance_that_is_not_met_is_reported_not_raised(make_batch):
    cost, a, b = make_batch(4)
    short = Sinkhorn(epsilon=0.03, iterations=15, tolerance=1e-8).solve(cost, a, b)
    assert short.violation.max() > 1e-8
    assert torch.equal(short.plan, Sinkhorn(epsilon=0.03, iterations=15)(cost, a, b))


def test_smaller_epsilon_is_less_biased(make_batch):
    cost, a, b = make_batch(5)
    exact = Exact().solve(cost, a, b).cost
    costs = [Sinkhorn(epsilon=e, iterations=3000).solve(cost, a, b).cost for e in (0.2, 0.05, 0.01)]
    bias = [((found - exact) / exact).mean() for found in costs]
    assert bias[0] > bias[1] > bias[2] > 0
    assert bias[2] < 5e-3


@pytest.mark.parametrize("epsilon", [0.03, 0.01, 1e-3])
def test_opposite_vectors_at_small_epsilon_stay_finite_in_float32(make_batch, epsilon):
    _, a, b = make_batch(6, dtype=torch.float32)
    cost = 2.0 * (torch.rand(4, a.shape[1], b.shape[1], generator=torch.Generator().manual_seed(0)) > 0.5)
    plan = Sinkhorn(epsilon=epsilon)(cost, a, b)
    assert torch.isfinite(plan).all()
    assert (plan.sum(1) - b).abs().max() < 1e-6


def test_logarithms_take_costs_of_any_scale(make_batch):
    cost, a, b = make_batch(7)
    scaled = Sinkhorn(epsilon=0.02, iterations=200)(100 * cost, a, b)
    assert torch.isfinite(scaled).all()
    assert (scaled.sum(1) - b).abs().max() < 1e-6


@both_domains
def test_pairs_that_are_done_leave_the_batch_and_do_not_depend_on_the_others(make_batch, epsilon):
    cost, a, b = make_batch(8, pairs=6, uniform=False)
    solver = Sinkhorn(epsilon=epsilon, iterations=5000, tolerance=1e-4)
    together = solver.solve(cost, a, b)
    for pair in range(len(cost)):
        alone = solver(cost[pair : pair + 1], a[pair : pair + 1], b[pair : pair + 1])[0]
        assert (alone - together.plan[pair]).abs().max() < 1e-12
    assert (together.plan.sum(1) - b).abs().max() < 1e-9
    assert len(set(together.violation.tolist())) == len(cost)


@pytest.mark.parametrize("relaxation", [1.3, 1.5, 1.7, 1.9])
@pytest.mark.parametrize("epsilon", [0.03, 0.1])
def test_longer_steps_end_at_the_same_plan(make_batch, relaxation, epsilon):
    cost, a, b = make_batch(9, uniform=False)
    plain = Sinkhorn(epsilon=epsilon, iterations=5000)(cost, a, b)
    relaxed = Sinkhorn(epsilon=epsilon, iterations=2000, relaxation=relaxation)(cost, a, b)
    assert (relaxed - plain).abs().sum((1, 2)).max() < 1e-9


def test_longer_steps_need_fewer_iterations(make_batch):
    batch = make_batch(10, pairs=16)
    missed = [Sinkhorn(iterations=60, relaxation=factor).solve(*batch).violation.max() for factor in (1.0, 1.7)]
    assert missed[1] < 0.2 * missed[0]


def test_longer_steps_survive_opposite_vectors_in_float32(make_batch):
    _, a, b = make_batch(6, dtype=torch.float32)
    cost = 2.0 * (torch.rand(4, a.shape[1], b.shape[1], generator=torch.Generator().manual_seed(0)) > 0.5)
    plan = Sinkhorn(epsilon=0.03, relaxation=1.7)(cost, a, b)
    assert torch.isfinite(plan).all()
    assert (plan.sum(1) - b).abs().max() < 1e-6


@pytest.mark.parametrize(("relaxation", "epsilon"), [(0.9, 0.05), (2.0, 0.05), (float("nan"), 0.05), (1.5, 0.01)])
def test_relaxation_out_of_range_is_refused(relaxation, epsilon):
    with pytest.raises(InputError, match="field 'relaxation'"):
        Sinkhorn(epsilon=epsilon, relaxation=relaxation)
