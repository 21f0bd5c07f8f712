"""Marginals from masks, weights and document frequencies, and the violation that is reported."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_optical.errors import InputError
from hf_optical.transport import (
    document_frequencies,
    idf_marginals,
    idf_weights,
    independent_plan,
    marginal_violation,
    uniform_marginals,
    weighted_marginals,
)

MASK = torch.tensor([[1, 1, 1, 0], [1, 0, 0, 0]])


@given(lengths=st.lists(st.integers(1, 12), min_size=1, max_size=6))
@settings(max_examples=20, deadline=None)
def test_uniform_rows_sum_to_one_and_are_zero_on_padding(lengths):
    mask = torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)
    marginals = uniform_marginals(mask)
    assert marginals.dtype == torch.float32
    assert torch.allclose(marginals.sum(1), torch.ones(len(lengths)))
    assert torch.equal(marginals > 0, mask)
    assert torch.equal(uniform_marginals(mask.long()), marginals)
    for row, length in zip(marginals, lengths, strict=True):
        assert torch.allclose(row[:length], torch.full((length,), 1 / length))


def test_weights_are_normalised_over_real_tokens_whatever_padding_holds():
    weights = torch.tensor([[1.0, 2.0, 5.0, math.nan], [0.1, math.inf, -1.0, 3.0]])
    expected = torch.tensor([[0.125, 0.25, 0.625, 0.0], [1.0, 0.0, 0.0, 0.0]])
    assert torch.allclose(weighted_marginals(MASK, weights), expected)
    assert weighted_marginals(MASK, weights.bfloat16()).dtype == torch.float32


@pytest.mark.parametrize(
    ("mask", "weights", "message"),
    [
        (torch.tensor([[1, 1], [0, 0]]), torch.ones(2, 2), "no mass.*index 1 of 2.*drop empty sentences"),
        (torch.tensor([[1, 1]]), torch.zeros(1, 2), "no mass"),
        (torch.tensor([[1, 1]]), torch.tensor([[1.0, -1.0]]), "negative or non-finite"),
        (torch.tensor([[1, 1]]), torch.tensor([[1.0, math.nan]]), "negative or non-finite"),
        (torch.tensor([[1, 1]]), torch.tensor([[1.0, math.inf]]), "negative or non-finite"),
        (torch.tensor([1, 1]), torch.ones(2), "batch, tokens"),
        (torch.tensor([[1, 1]]), torch.ones(1, 3), r"mask of shape \(1, 2\) and weights of shape \(1, 3\)"),
    ],
)
def test_marginals_that_cannot_be_are_refused(mask, weights, message):
    with pytest.raises(InputError, match=message):
        weighted_marginals(mask, weights)


def test_an_empty_sentence_is_refused():
    with pytest.raises(InputError, match="index 1 of 2"):
        uniform_marginals(torch.tensor([[1, 0], [0, 0]]))


def test_document_frequencies_count_a_token_once_per_sentence_and_skip_padding():
    ids = torch.tensor([[5, 5, 3, 0], [5, 0, 0, 0]])
    assert document_frequencies(ids, MASK, 7).tolist() == [0, 0, 0, 1, 0, 2, 0]
    halves = document_frequencies(ids[:1], MASK[:1], 7) + document_frequencies(ids[1:], MASK[1:], 7)
    assert torch.equal(halves, document_frequencies(ids, MASK, 7))
    with pytest.raises(InputError, match="outside the vocabulary of 5"):
        document_frequencies(ids, MASK, 5)


def test_idf_weights_are_positive_falling_and_follow_the_formula():
    weights = idf_weights(torch.arange(11), 10)
    assert (weights > 0).all()
    assert (weights.diff() < 0).all()
    assert weights[3].item() == pytest.approx(math.log(1 + 7.5 / 3.5))
    for counts, documents in ((torch.tensor([11]), 10), (torch.tensor([-1]), 10), (torch.tensor([0]), 0)):
        with pytest.raises(InputError, match="field 'counts'"):
            idf_weights(counts, documents)


def test_idf_marginals_give_rare_tokens_more_mass():
    weights = idf_weights(torch.tensor([1, 9, 9, 1]), 10)
    marginals = idf_marginals(MASK, torch.tensor([[0, 1, 2, 99], [3, -1, 0, 0]]), weights)
    assert torch.allclose(marginals.sum(1), torch.ones(2))
    assert marginals[0, 0] > 5 * marginals[0, 1] > 0
    assert marginals[0, 1] == marginals[0, 2]
    assert (marginals[MASK == 0] == 0).all()
    with pytest.raises(InputError, match="outside the 4 IDF weights"):
        idf_marginals(MASK, torch.full((2, 4), 4), weights)


def test_violation_is_the_larger_l1_error_of_the_two_marginals():
    a, b = torch.tensor([[0.5, 0.5], [1.0, 0.0]]), torch.tensor([[0.25, 0.75], [0.5, 0.5]])
    plan = independent_plan(a, b)
    assert torch.equal(marginal_violation(plan, a, b), torch.zeros(2))
    plan[0] = torch.tensor([[0.25, 0.75], [0.0, 0.0]])  # all mass in the first row: rows off by 1, columns by 0
    plan[1] = torch.tensor([[0.7, 0.3], [0.0, 0.0]])  # columns off by 0.4
    assert torch.allclose(marginal_violation(plan, a, b), torch.tensor([1.0, 0.4]))
