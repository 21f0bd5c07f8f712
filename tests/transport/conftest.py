from typing import NamedTuple

import pytest
import torch

from hf_optical.transport import cosine_cost, uniform_marginals


class Batch(NamedTuple):
    cost: torch.Tensor
    a: torch.Tensor
    b: torch.Tensor


def _tokens(generator, rows, longest, width):
    """Teacher-like tokens: all of a sentence share a direction, so that cosines sit in a band above zero."""
    common = torch.randn(rows, 1, width, generator=generator, dtype=torch.float64)
    return common + torch.randn(rows, longest, width, generator=generator, dtype=torch.float64)


def _make_batch(seed, pairs=4, shortest=8, longest=28, width=64, noise=1.0, uniform=True, dtype=torch.float64):
    """Pairs of unlike length whose student tokens are noisy copies of the teacher's, in another order."""
    generator = torch.Generator().manual_seed(seed)
    n = torch.randint(shortest, longest + 1, (pairs, 1), generator=generator)
    m = torch.randint(shortest, longest + 1, (pairs, 1), generator=generator)
    teacher = _tokens(generator, pairs, int(m.max()), width)
    source = (torch.rand(pairs, int(n.max()), generator=generator) * m).long().unsqueeze(2).expand(-1, -1, width)
    student = teacher.gather(1, source)
    student = student + noise * torch.randn(student.shape, generator=generator, dtype=torch.float64)
    a = uniform_marginals(torch.arange(int(n.max())) < n, dtype=torch.float64)
    b = uniform_marginals(torch.arange(int(m.max())) < m, dtype=torch.float64)
    if not uniform:
        a = a * (0.2 + torch.rand(a.shape, generator=generator, dtype=torch.float64))
        b = b * (0.2 + torch.rand(b.shape, generator=generator, dtype=torch.float64))
        a, b = a / a.sum(1, keepdim=True), b / b.sum(1, keepdim=True)
    return Batch(*(tensor.to(dtype) for tensor in (cosine_cost(student, teacher), a, b)))


@pytest.fixture(scope="session")
def make_batch():
    return _make_batch
