"""What every solver promises: marginals, invariances, precision, and clear refusals."""

import ot
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from hf_optical.errors import InputError
from hf_optical.transport import IPOT, Exact, Sinkhorn, transport_cost, uniform_marginals

SOLVERS = [IPOT(), IPOT(beta=2.0, inner_iterations=2), Sinkhorn(), Sinkhorn(epsilon=0.01), Exact()]
SOLVERS += [Sinkhorn(relaxation=1.7)]
every_solver = pytest.mark.parametrize("solver", SOLVERS, ids=repr)
seeds = st.integers(0, 2**31 - 1)
a_few = settings(max_examples=8, deadline=None)


@every_solver
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@given(seed=seeds, uniform=st.booleans())
@a_few
def test_marginal_updated_last_is_exact_and_the_other_is_within_the_violation_reported(
    make_batch, solver, dtype, seed, uniform
):
    cost, a, b = make_batch(seed, uniform=uniform, dtype=dtype)
    plan, _, violation = solver.solve(cost, a, b)
    assert plan.dtype == dtype
    assert (plan >= 0).all()
    assert (plan.sum(1) - b).abs().max() < 1e-6
    misplaced = (plan.double().sum(2) - a.double()).abs().sum(1)
    assert (misplaced <= violation + 1e-6).all()
    assert (violation < 0.2).all()  # the report is a statement about this plan, not an excuse for it


@every_solver
@given(seed=seeds)
@a_few
def test_cost_reported_is_the_inner_product_and_not_below_the_optimum_by_more_than_the_violation(
    make_batch, solver, seed
):
    cost, a, b = make_batch(seed)
    plan, total, violation = solver.solve(cost, a, b)
    assert torch.equal(plan, solver(cost, a, b))
    assert torch.allclose(total, (plan * cost).sum((1, 2)))
    for pair in range(len(cost)):
        optimum = ot.emd2(a[pair].numpy(), b[pair].numpy(), cost[pair].numpy())
        assert total[pair] >= optimum - 2 * violation[pair] - 1e-9  # mass moved at a cost of 2 at most


@every_solver
@pytest.mark.parametrize("junk", [float("nan"), float("inf"), -float("inf"), 1e30])
def test_what_padding_holds_does_not_matter(make_batch, solver, junk):
    cost, a, b = make_batch(3, dtype=torch.float32)
    padding = (a == 0).unsqueeze(2) | (b == 0).unsqueeze(1)
    assert padding.any()
    dirty = solver.solve(cost.masked_fill(padding, junk), a, b)
    clean = solver.solve(cost.masked_fill(padding, 0.0), a, b)
    assert all(torch.equal(left, right) for left, right in zip(dirty, clean, strict=True))
    assert (dirty.plan[padding] == 0).all()


@every_solver
@given(seed=seeds, more_rows=st.integers(0, 9), more_columns=st.integers(0, 9))
@a_few
def test_more_padding_changes_nothing(make_batch, solver, seed, more_rows, more_columns):
    cost, a, b = make_batch(seed)
    pad = torch.nn.functional.pad
    padded = solver(pad(cost, (0, more_columns, 0, more_rows)), pad(a, (0, more_rows)), pad(b, (0, more_columns)))
    assert (padded[:, : a.shape[1], : b.shape[1]] - solver(cost, a, b)).abs().max() < 1e-6
    assert padded.sum() == pytest.approx(len(cost))


@every_solver
@given(seed=seeds)
@a_few
def test_order_of_tokens_does_not_matter(make_batch, solver, seed):
    cost, a, b = make_batch(seed)
    rows, columns = torch.randperm(a.shape[1]), torch.randperm(b.shape[1])
    shuffled = solver(cost[:, rows][:, :, columns], a[:, rows], b[:, columns])
    assert (shuffled - solver(cost, a, b)[:, rows][:, :, columns]).abs().max() < 1e-6


@every_solver
@given(seed=seeds)
@a_few
def test_batch_equals_loop_over_unpadded_pairs(make_batch, solver, seed):
    cost, a, b = make_batch(seed)
    plan = solver(cost, a, b)
    for pair in range(len(cost)):
        i, j = a[pair] > 0, b[pair] > 0
        alone = solver(cost[pair][i][:, j][None], a[pair][i][None], b[pair][j][None])[0]
        assert (plan[pair][i][:, j] - alone).abs().max() < 1e-6


@every_solver
def test_float32_is_near_float64(make_batch, solver):
    cost, a, b = make_batch(5)
    single = solver.solve(cost.float(), a.float(), b.float())
    assert (single.cost - solver.solve(cost, a, b).cost).abs().max() < 1e-5


@every_solver
def test_one_token_against_many(solver):
    cost = torch.rand(2, 1, 7)
    a, b = torch.ones(2, 1), uniform_marginals(torch.arange(7) < torch.tensor([[7], [4]]))
    assert torch.allclose(solver(cost, a, b), b.unsqueeze(1), atol=1e-6)
    assert torch.allclose(solver(cost.transpose(1, 2), b, a), b.unsqueeze(2), atol=1e-6)
    assert torch.allclose(solver(cost[:, :, :1], a, a), torch.ones(2, 1, 1))


@every_solver
def test_half_precision_in_and_autocast_around_give_a_finite_float32_plan(make_batch, solver):
    cost, a, b = make_batch(6, dtype=torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        plan, total, violation = solver.solve(cost, a, b)
    assert plan.dtype == torch.float32
    assert torch.isfinite(plan).all()
    assert (plan.sum((1, 2)) - 1).abs().max() < 1e-6
    wide = solver(cost.float(), a.float(), b.float())
    assert torch.equal(plan, wide)  # a solve in bfloat16 would be off by about 1e-2
    assert total.dtype == violation.dtype == torch.float32


@every_solver
def test_plan_has_no_gradient_and_arguments_are_left_alone(make_batch, solver):
    cost, a, b = make_batch(7, dtype=torch.float32)
    cost.requires_grad_()
    before = [tensor.detach().clone() for tensor in (cost, a, b)]
    plan = solver(cost, a, b)
    assert not plan.requires_grad
    assert all(torch.equal(old, new) for old, new in zip(before, (cost, a, b), strict=True))
    transport_cost(plan, cost).sum().backward()
    assert torch.equal(cost.grad, plan)


@every_solver
def test_equal_costs_give_any_plan_with_the_right_marginals(solver):
    mask = torch.tensor([[True, True, True, False]])
    a = b = uniform_marginals(mask)
    assert solver.solve(torch.full((1, 4, 4), 0.5), a, b).violation.max() < 1e-6


WITH_TOLERANCE = [Sinkhorn(tolerance=1e-3, relaxation=1.5), Sinkhorn(0.01, tolerance=1e-3), IPOT(tolerance=1e-3)]


@pytest.mark.parametrize("solver", [*(s for s in SOLVERS if not isinstance(s, Exact)), *WITH_TOLERANCE], ids=repr)
def test_a_cuda_device_is_never_waited_for(solver):
    # A fake CUDA tensor has no values: whatever would read one on the host raises, with no GPU at hand.
    with FakeTensorMode():
        mask = torch.ones(2, 5, device="cuda")
        a = uniform_marginals(mask)
        plan, total, violation = solver.solve(torch.rand(2, 5, 5, device="cuda"), a, a)
        assert plan.shape == (2, 5, 5)
        assert plan.device.type == total.device.type == violation.device.type == "cuda"
        with pytest.raises(DataDependentOutputException):
            bool(plan.sum() > 0)


HALF = torch.tensor([[0.5, 0.5]])
NOTHING = torch.zeros(1, 2)
COST = torch.rand(1, 2, 2)


@every_solver
@pytest.mark.parametrize(
    ("cost", "a", "b", "message"),
    [
        (COST, NOTHING, HALF, "field 'a'.*mass is not 1 .0 where every token is padding.*index 0 of 1"),
        (COST, HALF, NOTHING, "field 'b'.*mass is not 1"),
        (COST, HALF, torch.tensor([[0.5, float("nan")]]), "field 'b'.*negative or NaN"),
        (COST, torch.tensor([[1.5, -0.5]]), HALF, "field 'a'.*negative or NaN"),
        (COST, torch.ones(1, 2), HALF, "field 'a'.*mass is not 1"),
        (COST, torch.tensor([[float("inf"), 0.5]]), HALF, "field 'a'.*mass is not 1"),
        (COST * torch.nan, HALF, HALF, "field 'cost'.*not finite.*between real tokens.*index 0 of 1"),
        (COST + torch.inf, HALF, HALF, "field 'cost'.*not finite"),
        (COST[0], HALF, HALF, r"cost \(2, 2\), a \(1, 2\)"),
        (COST, torch.ones(1, 3) / 3, HALF, r"a \(1, 3\)"),
        (COST, HALF, torch.ones(2, 2) / 2, r"b \(2, 2\)"),
        (COST[:0], HALF[:0], HALF[:0], "empty batch"),
        (COST, HALF, torch.ones(1, 2, dtype=torch.bool), "field 'b'.*torch.bool.*uniform_marginals"),
        (COST.long(), HALF, HALF, "field 'cost'.*torch.int64"),
    ],
)
def test_bad_input_is_refused_by_name(solver, cost, a, b, message):
    with pytest.raises(InputError, match=message):
        solver(cost, a, b)


def test_the_pair_at_fault_is_named(make_batch):
    cost, a, b = make_batch(8)
    cost[2, 0, 0] = torch.nan
    with pytest.raises(InputError, match="index 2 of 4"):
        IPOT()(cost, a, b)


@pytest.mark.parametrize(
    "make",
    [
        lambda: IPOT(beta=0.0),
        lambda: IPOT(beta=float("nan")),
        lambda: IPOT(iterations=0),
        lambda: IPOT(inner_iterations=1.5),
        lambda: Sinkhorn(epsilon=-1.0),
        lambda: Sinkhorn(iterations=True),
        lambda: Sinkhorn(tolerance=0.0),
        lambda: IPOT(tolerance=-1.0),
        lambda: IPOT(gap=0.0),
        lambda: Exact(max_iterations=0),
    ],
)
def test_bad_settings_are_refused(make):
    with pytest.raises(InputError, match="Remedy: pass a"):
        make()


@pytest.mark.parametrize("solver", [IPOT(), Sinkhorn()], ids=repr)
def test_costs_beyond_the_range_of_the_kernel_are_refused_not_solved_wrongly(solver):
    with pytest.raises(InputError, match=r"beyond 4 in size.*divide the cost"):
        solver(torch.tensor([[[0.0, 50.0], [50.0, 0.0]]]), HALF, HALF)
