"""The cosine cost: its values, its precision, and its gradient by finite differences."""

import pytest
import torch

from hf_optical.errors import InputError
from hf_optical.transport import IPOT, Sinkhorn, cosine_cost, transport_cost, uniform_marginals


def tokens(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def test_equals_one_minus_cosine_similarity_in_range():
    student, teacher = tokens(3, 5, 16), tokens(3, 4, 16, seed=1)
    cost = cosine_cost(student, teacher)
    similarity = torch.nn.functional.cosine_similarity(student.unsqueeze(2), teacher.unsqueeze(1), dim=-1)
    assert torch.allclose(cost, 1 - similarity, atol=1e-6)
    for sign in (1, -1):
        extreme = cosine_cost(student, sign * student)
        assert extreme.min() >= 0
        assert extreme.max() <= 2


@pytest.mark.parametrize("scale", [1e-10, 1.0, 1e10])
def test_length_of_vectors_does_not_matter(scale):
    student, teacher = tokens(1, 5, 16), tokens(1, 4, 16, seed=1)
    assert torch.allclose(cosine_cost(scale * student, teacher), cosine_cost(student, teacher), atol=1e-6)


def test_gradient_by_finite_differences():
    student, teacher = tokens(2, 4, 6, dtype=torch.float64), tokens(2, 3, 6, seed=1, dtype=torch.float64)
    assert torch.autograd.gradcheck(cosine_cost, (student.requires_grad_(), teacher.requires_grad_()))


@pytest.mark.parametrize("solver", [IPOT(), Sinkhorn()], ids=repr)
def test_gradient_of_the_loss_with_the_plan_detached_by_finite_differences(solver):
    student, teacher = tokens(2, 4, 6, dtype=torch.float64), tokens(2, 3, 6, seed=1, dtype=torch.float64)
    a = uniform_marginals(torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]]), dtype=torch.float64)
    b = uniform_marginals(torch.tensor([[1, 1, 1], [1, 1, 0]]), dtype=torch.float64)
    plan = solver(cosine_cost(student, teacher), a, b)

    def loss(student):
        return transport_cost(plan, cosine_cost(student, teacher)).mean()

    assert torch.autograd.gradcheck(loss, (student.requires_grad_(),))
    loss(student).backward()
    assert (student.grad[1, 2:] == 0).all()
    through_solver = torch.autograd.grad(
        transport_cost(solver(cosine_cost(student, teacher), a, b), cosine_cost(student, teacher)).mean(), student
    )[0]
    assert torch.allclose(through_solver, student.grad)


def test_zero_vector_costs_one_and_has_a_finite_gradient():
    student, teacher = tokens(1, 3, 8), tokens(1, 2, 8, seed=1)
    student[0, 1] = 0
    student.requires_grad_()
    cost = cosine_cost(student, teacher)
    assert torch.equal(cost[0, 1], torch.ones(2))
    cost.sum().backward()
    assert torch.equal(student.grad[0, 1], torch.zeros(8))
    assert torch.isfinite(student.grad).all()
    assert student.grad.abs().sum() > 0


@pytest.mark.parametrize("junk", [float("nan"), float("inf"), 1e38])
def test_masks_keep_what_padding_holds_out_of_cost_and_gradient(junk):
    student, teacher = tokens(2, 4, 8), tokens(2, 3, 8, seed=1)
    student_mask, teacher_mask = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]]), torch.tensor([[1, 1, 1], [1, 0, 0]])
    a, b = uniform_marginals(student_mask), uniform_marginals(teacher_mask)
    gradients = []
    for filler in (0.0, junk):
        s = student.masked_fill(student_mask.unsqueeze(2) == 0, filler).requires_grad_()
        t = teacher.masked_fill(teacher_mask.unsqueeze(2) == 0, filler).requires_grad_()
        cost = cosine_cost(s, t, student_mask, teacher_mask)
        assert torch.isfinite(cost).all()
        transport_cost(IPOT()(cost, a, b), cost).sum().backward()
        gradients.append((s.grad, t.grad))
    for clean, dirty in zip(*gradients, strict=True):
        assert torch.equal(clean, dirty)
        assert torch.isfinite(dirty).all()


def test_half_precision_inputs_and_autocast_give_a_float32_cost_and_finite_gradients():
    student, teacher = tokens(2, 5, 16).bfloat16().requires_grad_(), tokens(2, 4, 16, seed=1).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cost = cosine_cost(student, teacher)
    assert cost.dtype == torch.float32
    assert torch.equal(cost, cosine_cost(student.float(), teacher.float()))
    a, b = uniform_marginals(torch.ones(2, 5)), uniform_marginals(torch.ones(2, 4))
    transport_cost(IPOT()(cost, a, b), cost).mean().backward()
    assert student.grad.dtype == torch.bfloat16
    assert torch.isfinite(student.grad).all()
    assert student.grad.abs().sum() > 0


def test_transport_cost_leaves_out_entries_without_mass():
    plan = torch.tensor([[[1.0, 0.0]]])
    cost = torch.tensor([[[0.25, float("nan")]]], requires_grad=True)
    found = transport_cost(plan, cost)
    assert found.tolist() == [0.25]
    found.sum().backward()
    assert torch.equal(cost.grad, plan)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cosine_cost(tokens(2, 3), tokens(2, 3, 4)), "student_tokens of shape .2, 3."),
        (lambda: cosine_cost(tokens(2, 3, 4), tokens(2, 3, 4).long()), "teacher_tokens.*int64"),
        (lambda: cosine_cost(tokens(2, 3, 4), tokens(2, 3, 5)), "Dense module"),
        (lambda: cosine_cost(tokens(2, 3, 4), tokens(1, 3, 4)), "same number of pairs"),
        (lambda: cosine_cost(tokens(2, 3, 4), tokens(2, 3, 4), torch.ones(2, 4)), "student_mask of shape .2, 4."),
        (lambda: transport_cost(tokens(1, 2, 3), tokens(1, 3, 2)), "plan of shape"),
    ],
)
def test_shapes_that_do_not_fit_are_refused_by_name(call, message):
    with pytest.raises(InputError, match=message):
        call()
