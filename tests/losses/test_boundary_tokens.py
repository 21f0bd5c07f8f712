"""The special tokens of a pair: their places, and their share of the loss where the sides differ in length."""

from __future__ import annotations

import pytest
import torch

from hf_optical.losses.alignment import boundary_ends


def side(length: int, special: list[int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    mask, marked = torch.ones(1, length, dtype=torch.bool), torch.zeros(1, length, dtype=torch.bool)
    marked[0, special] = True
    return torch.zeros(1, length, 2), mask, marked


@pytest.mark.parametrize(("student", "teacher"), [(4, 10), (10, 4)])
def test_the_share_is_the_mean_of_both_sides(student, teacher):
    found = boundary_ends(side(student, [0, student - 1]), side(teacher, [0, teacher - 1]))
    assert float(found.share) == pytest.approx((2 / student + 2 / teacher) / 2)
    assert found.places.tolist() == [[0, 0, student - 1, teacher - 1]]


def test_a_pair_without_special_tokens_on_one_side_has_no_share():
    assert float(boundary_ends(side(4, []), side(10, [0, 9])).share) == 0
