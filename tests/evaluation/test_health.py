"""Signs of collapse and of plans that say nothing, against direct computations."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hf_optical.evaluation.health import effective_rank, mean_off_diagonal_cosine, nearest_is_own, plan_information


def test_mean_cosine_is_the_mean_over_pairs_of_different_texts():
    vectors = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))
    pairs = [
        torch.nn.functional.cosine_similarity(vectors[i], vectors[j], dim=0)
        for i in range(7)
        for j in range(7)
        if i != j
    ]
    assert mean_off_diagonal_cosine(vectors) == pytest.approx(float(torch.stack(pairs).mean()), abs=1e-6)
    assert mean_off_diagonal_cosine(torch.ones(4, 3)) == pytest.approx(1)


def test_effective_rank_counts_directions():
    generator = torch.Generator().manual_seed(0)
    basis = torch.linalg.qr(torch.randn(16, 3, generator=generator))[0]
    flat = torch.randn(400, 3, generator=generator) @ basis.T
    assert 2.8 < effective_rank(flat) <= 3.0001
    assert effective_rank(flat + 100) == pytest.approx(
        effective_rank(flat), rel=1e-3
    )  # a common direction is no spread
    assert effective_rank(torch.ones(5, 4)) == 1.0


def test_nearest_is_own_counts_pairs_that_find_each_other():
    teacher = torch.eye(4)
    assert nearest_is_own(torch.eye(4) * 3, teacher) == 1
    assert nearest_is_own(teacher[[0, 1, 3, 2]], teacher) == 0.5


def test_plan_information_is_mutual_information_over_its_bound():
    rng = np.random.default_rng(0)
    plan = rng.random((3, 4, 6))
    plan[0, :, 5] = plan[0, 3] = 0  # padding
    plan /= plan.sum((1, 2), keepdims=True)
    expected = []
    for one in plan:
        a, b = one.sum(1, keepdims=True), one.sum(0, keepdims=True)
        with np.errstate(divide="ignore", invalid="ignore"):
            information = np.nansum(one * np.log(one / (a * b)))
            most = min(-np.nansum(a * np.log(a)), -np.nansum(b * np.log(b)))
        expected.append(information / most)
    assert plan_information(torch.tensor(plan)).tolist() == pytest.approx(expected, abs=1e-9)
    product = torch.outer(torch.tensor([0.2, 0.8]), torch.tensor([0.5, 0.3, 0.2]))
    assert float(plan_information(product[None])) == pytest.approx(0, abs=1e-9)
    shared = torch.tensor([[0.25, 0.25, 0.0], [0.0, 0.0, 0.5]])  # two pieces of one word have one partner
    assert float(plan_information(shared[None])) == pytest.approx(1)
    assert float(plan_information(torch.tensor([[[0.5, 0.5]]]))) == 1
