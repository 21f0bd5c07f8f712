"""The closed-form gradient against autograd through the cosine cost, and the bound against the exact cost."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_optical.errors import InputError
from hf_optical.transport import (
    IPOT,
    Exact,
    Sinkhorn,
    SpecialTokenMatch,
    aligned_cost,
    cosine_cost,
    lower_bound,
    uniform_marginals,
)

seeds = st.integers(0, 2**31 - 1)


def tokens(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def fixed(weights):
    return lambda cost: (weights, weights)


def test_gradient_by_finite_differences_on_both_sides():
    weights = tokens(2, 4, 3, seed=2).abs()
    student, teacher = tokens(2, 4, 6).requires_grad_(), tokens(2, 3, 6, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda s, t: aligned_cost(s, t, fixed(weights))[0], (student, teacher))


@given(seed=seeds)
@settings(max_examples=20, deadline=None)
def test_value_and_gradient_are_those_of_autograd_through_the_cost(seed):
    weights = tokens(3, 5, 7, seed=seed).abs()
    upstream = tokens(3, seed=seed + 3)
    sides = [tokens(3, k, 8, seed=seed + k) for k in (5, 7)]
    found, wanted = [], []
    for results, term in (
        (found, lambda s, t: aligned_cost(s, t, fixed(weights))[0]),
        (wanted, lambda s, t: (weights * cosine_cost(s, t)).sum((1, 2))),
    ):
        student, teacher = (side.clone().requires_grad_() for side in sides)
        loss = term(student, teacher)
        results += [loss, *torch.autograd.grad((loss * upstream).sum(), (student, teacher))]
    for mine, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(mine, theirs)


def test_the_solver_sees_the_cost_of_cosine_cost_and_the_plan_comes_back_without_gradient():
    student, teacher = tokens(2, 5, 8, dtype=torch.float32).requires_grad_(), tokens(2, 4, 8, seed=1).float()
    a, b = uniform_marginals(torch.ones(2, 5)), uniform_marginals(torch.ones(2, 4))
    seen = []

    def align(cost):
        seen.append(cost.clone())
        plan = IPOT()(cost, a, b)
        return plan, plan

    loss, plan = aligned_cost(student, teacher, align)
    torch.testing.assert_close(seen[0], cosine_cost(student, teacher).detach(), atol=1e-6, rtol=0)
    assert not plan.requires_grad
    assert loss.requires_grad
    torch.testing.assert_close(loss, (plan * seen[0]).sum((1, 2)))


@pytest.mark.parametrize("junk", [0.0, 2.0, 1e4, 1e38, float("inf"), float("nan")])
def test_padding_is_never_read(junk):
    mask, other = torch.tensor([[1, 1, 0], [1, 1, 1]]).bool(), torch.tensor([[1, 0], [1, 1]]).bool()
    a, b = uniform_marginals(mask), uniform_marginals(other)

    def align(cost):
        plan = Sinkhorn()(cost, a, b)
        return plan, plan

    results = []
    for filler in (0.0, junk):
        student = tokens(2, 3, 4, dtype=torch.float32).masked_fill(~mask.unsqueeze(2), filler).requires_grad_()
        teacher = tokens(2, 2, 4, seed=1, dtype=torch.float32).masked_fill(~other.unsqueeze(2), filler)
        loss, plan = aligned_cost(student, teacher, align, mask, other)
        loss.sum().backward()
        results.append((loss.detach(), plan, student.grad))
    for clean, dirty in zip(*results, strict=True):
        assert torch.equal(clean, dirty)


@pytest.mark.parametrize("scale", [1e-15, 1e15])
def test_lengths_far_from_one_neither_overflow_nor_vanish(scale):
    student, teacher = tokens(1, 3, 8, dtype=torch.float32), tokens(1, 2, 8, seed=1, dtype=torch.float32)
    weights = torch.full((1, 3, 2), 1 / 6)
    gradients = []
    for factor in (1.0, scale):
        scaled = (factor * student).requires_grad_()
        aligned_cost(scaled, teacher, fixed(weights))[0].sum().backward()
        gradients.append(factor * scaled.grad)
    torch.testing.assert_close(*gradients)


def test_a_zero_vector_costs_one_and_gets_no_gradient():
    student = torch.tensor([[[0.0, 0.0], [1.0, 0.0]]], requires_grad=True)
    loss, _ = aligned_cost(student, torch.tensor([[[0.0, 1.0]]]), fixed(torch.tensor([[[1.0], [0.0]]])))
    loss.sum().backward()
    assert loss.item() == 1
    assert torch.equal(student.grad, torch.zeros(1, 2, 2))


def test_half_precision_tokens_get_half_precision_gradients_of_a_float32_loss():
    student, teacher = tokens(2, 4, 8).bfloat16().requires_grad_(), tokens(2, 4, 8, seed=1).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, _ = aligned_cost(student, teacher, fixed(torch.full((2, 4, 4), 1 / 16)))
    loss.sum().backward()
    assert loss.dtype == torch.float32
    assert student.grad.dtype == torch.bfloat16
    wide = student.detach().double().requires_grad_()
    aligned_cost(wide, teacher.double(), fixed(torch.full((2, 4, 4), 1 / 16, dtype=torch.float64)))[0].sum().backward()
    assert (student.grad - wide.grad).norm() < 5e-3 * wide.grad.norm()


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="same width"):
        aligned_cost(torch.ones(1, 2, 3), torch.ones(1, 2, 4), fixed(torch.ones(1, 2, 2)))
    with pytest.raises(InputError, match="student_mask of shape"):
        aligned_cost(torch.ones(1, 2, 3), torch.ones(1, 2, 3), fixed(torch.ones(1, 2, 2)), torch.ones(1, 5))


def test_weights_of_ends_are_a_mean_of_the_plan_and_the_matches():
    plan = torch.rand(3, 4, 5, dtype=torch.float64)
    ends = SpecialTokenMatch(torch.tensor([[0, 0, 3, 4], [1, 2, 1, 2], [0, 0, 0, 0]]), torch.tensor([0.2, 0.5, 0.0]))
    found = ends.weigh(plan)
    for pair, (first_s, first_t, last_s, last_t) in enumerate(ends.places.tolist()):
        share = ends.share[pair].double()
        wanted = (1 - share) * plan[pair]
        wanted[first_s, first_t] += share / 2
        wanted[last_s, last_t] += share / 2
        torch.testing.assert_close(found[pair], wanted)


@given(seed=seeds, uniform=st.booleans())
@settings(max_examples=15, deadline=None)
def test_no_potential_gives_a_bound_above_the_exact_cost(make_batch, seed, uniform):
    cost, a, b = make_batch(seed, uniform=uniform)
    exact = Exact().solve(cost, a, b).cost
    anything = 2 * torch.randn(a.shape, dtype=a.dtype, generator=torch.Generator().manual_seed(seed))
    assert (lower_bound(cost, anything, a, b) <= exact + 1e-9).all()


def test_the_optimal_potential_reaches_the_exact_cost(make_batch):
    import ot

    cost, a, b = make_batch(1, pairs=1, shortest=9, longest=9)
    _, log = ot.emd(a[0].numpy(), b[0].numpy(), cost[0].numpy(), log=True)
    bound = lower_bound(cost, torch.from_numpy(log["u"])[None], a, b)
    assert bound.item() == pytest.approx(log["cost"], abs=1e-9)
