"""Run by `test_fused_transport` in a process of its own, where Triton interprets kernels on the CPU."""

import itertools

import pytest
import torch

from hf_optical.errors import InputError
from hf_optical.losses.alignment import transport_loss, transport_term
from hf_optical.transport import IPOT, Exact, Sinkhorn, SpecialTokenMatch, aligned_cost, fused_fits, uniform_marginals
from hf_optical.transport.fused import fused_transport
from hf_optical.transport.kernel_call import run_kernel
from hf_optical.transport.kernel_op import as_numbers, fused_transport_op

SOLVERS = [
    Sinkhorn(iterations=6),
    Sinkhorn(iterations=60, tolerance=1e-2, relaxation=1.7),
    IPOT(iterations=7),
    IPOT(beta=0.4, iterations=24, tolerance=1e-2, gap=0.1, inner_iterations=2),
    IPOT(beta=0.25, iterations=13, inner_iterations=3, relaxation=1.6),
    IPOT(beta=0.25, iterations=30, tolerance=1e-2, gap=0.1, inner_iterations=2, relaxation=1.6),
]


def batch(n, m, dtype):
    generator = torch.Generator().manual_seed(n)
    torch.set_num_threads(1)
    common = torch.randn(3, 1, 40, generator=generator)
    student, teacher = ((common + torch.randn(3, k, 40, generator=generator)).to(dtype) for k in (n, m))
    masks = [torch.arange(k) < torch.tensor([[k], [k - 3], [2]]) for k in (n, m)]
    return student, teacher, masks


def check_kernel(solver, n, m, dtype):
    student, teacher, masks = batch(n, m, dtype)
    inner = [mask & (torch.arange(mask.shape[1]) > 0) for mask in masks]
    a, b = (uniform_marginals(mask) for mask in inner)
    ends = SpecialTokenMatch(
        torch.tensor([[0, 0, n - 1, m - 1], [0, 0, 1, 2], [0, 0, 0, 0]]), torch.tensor([0.2, 0.4, 0.0])
    )
    poisoned = [
        t.masked_fill(~mask.unsqueeze(2), float("nan")) for t, mask in zip((student, teacher), masks, strict=True)
    ]
    found = run_kernel(*poisoned, a, b, solver, ends, plan=True)

    def align(cost):
        plan = solver(cost, a, b)
        return ends.weigh(plan), plan

    wide = student.double().requires_grad_()
    loss, plan = aligned_cost(wide, teacher.double(), align, *masks)
    (gradient,) = torch.autograd.grad(loss.sum(), wide)
    # Where a tolerance decides when to stop, both stop at the same test, or rounding would show here.
    assert (found.loss - loss.detach()).abs().max() < 1e-6
    assert (found.plan - plan).abs().sum((1, 2)).max() < 5e-6
    assert (found.gradient - gradient).norm() < 1e-3 * gradient.norm()
    assert torch.isfinite(found.gradient).all()
    assert (found.gradient[~masks[0]] == 0).all()


for (n, m), solver in itertools.product([(7, 19)], SOLVERS):
    check_kernel(solver, n, m, torch.float32)
check_kernel(SOLVERS[0], 18, 9, torch.float16)
check_kernel(SOLVERS[2], 6, 7, torch.bfloat16)

# The loss takes the kernel by itself, and the same value and gradient come out as without.
student, teacher, masks = batch(6, 8, torch.float32)
special = [torch.arange(mask.shape[1]).expand_as(mask) == 0 for mask in masks]
results = []
for term in (transport_term, lambda *sides: transport_loss(*sides)[0]):
    leaf = student.clone().requires_grad_()
    loss = term((leaf, masks[0], special[0]), (teacher, masks[1], special[1]), Sinkhorn(iterations=5))
    (gradient,) = torch.autograd.grad((loss * torch.tensor([1.0, -2.0, 0.5])).sum(), leaf)
    results.append((loss.detach(), gradient, type(loss.grad_fn).__name__))
assert [name for *_, name in results] == ["_FusedBackward", "_AlignedCostBackward"]
torch.testing.assert_close(results[0][:2], results[1][:2], atol=1e-6, rtol=1e-5)

# The operator for torch.compile: its fake form, its gradient, and the same numbers.
a, b = (uniform_marginals(mask) for mask in masks)
ends = SpecialTokenMatch(torch.tensor([[0, 0, 5, 7], [0, 0, 1, 2], [0, 0, 1, 1]]), torch.tensor([0.2, 0.0, 0.1]))
for solver, parts in ((Sinkhorn(iterations=5), ends), (IPOT(iterations=3), (None, None))):
    leaf = student.clone().requires_grad_()
    arguments = (leaf, teacher, a, b, *parts, *as_numbers(solver))
    torch.library.opcheck(fused_transport_op, arguments)
    compiled = torch.compile(lambda *given: fused_transport_op(*given)[0].sum(), backend="aot_eager", fullgraph=True)
    (gradient,) = torch.autograd.grad(compiled(*arguments), leaf)
    eager = student.clone().requires_grad_()
    loss = fused_transport(eager, teacher, a, b, solver, ends if parts is ends else None).sum()
    torch.testing.assert_close(gradient, torch.autograd.grad(loss, eager)[0])

assert fused_fits(student, teacher, IPOT())
assert not fused_fits(student, teacher, Exact())
assert not fused_fits(student, teacher, Sinkhorn(epsilon=0.01))
assert not fused_fits(torch.ones(1, 129, 4), torch.ones(1, 5, 4), IPOT())
assert not fused_fits(student, teacher.clone().requires_grad_(), IPOT())
nothing = student.clone()
nothing[0, 0] = float("nan")
with pytest.raises(InputError, match=r"not finite.*index 0 of 3"):
    fused_transport(nothing, teacher, uniform_marginals(masks[0]), uniform_marginals(masks[1]), IPOT(iterations=2))
print("all good")  # noqa: T201
