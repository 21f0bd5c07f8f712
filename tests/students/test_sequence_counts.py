import importlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from hf_optical.errors import InputError
from hf_optical.students.alignment_counts import alignment_counts
from hf_optical.students.expectations import agreed_expectation, positional_prior, transport_expectation
from hf_optical.students.sequence_counts import SequenceModel, sequence_counts

counting = importlib.import_module("hf_optical.students.sequence_counts")


def scaled_by_hand(kernel, dustbin, iterations):
    """One pair, in float64, cell by cell as the docstring has it."""
    m, n = kernel.shape
    table = np.full((m + 1, n + 1), dustbin)
    table[:m, :n] = kernel
    rows, columns = np.append(np.full(m, 1 / m), 0.5), np.append(np.full(n, 1 / n), 0.5)
    row = np.ones(m + 1)
    for _ in range(iterations):
        column = columns / (table.T @ row)
        row = rows / (table @ column)
    return min(m, n) * (row[:, None] * table * column)[:m, :n]


def counted_by_hand(sources, targets, start, model):
    """The rounds written out pair by pair over dense tables."""
    counts = start
    for _ in range(model.rounds):
        left, right = counts.sum(1), counts.sum(0)
        new = np.zeros_like(counts)
        for source, target in zip(sources, targets, strict=True):
            m, n = len(source), len(target)
            prior, kernel, forward, backward = (np.zeros((m, n)) for _ in range(4))
            for i, f in enumerate(source):
                for j, e in enumerate(target):
                    prior[i, j] = np.exp(-model.slope * abs((i + 0.5) / m - (j + 0.5) / n))
                    known = left[f] > 0 and right[e] > 0
                    forward[i, j] = counts[f, e] / left[f] if known else 2 * model.dustbin
                    backward[i, j] = counts[f, e] / right[e] if known else 2 * model.dustbin
                    kernel[i, j] = np.sqrt(forward[i, j] * backward[i, j]) * prior[i, j]
            if not m or not n:
                continue
            if model.expectation == "transport":
                expected = scaled_by_hand(kernel + 1e-7, model.dustbin, model.iterations)
            else:
                forward, backward = forward * prior, backward * prior
                expected = forward / (forward.sum(0) + model.dustbin)
                expected = expected * (backward / (backward.sum(1, keepdims=True) + model.dustbin))
            for i, f in enumerate(source):
                for j, e in enumerate(target):
                    new[f, e] += expected[i, j] if expected[i, j] >= 0.02 else 0.0
        counts = new
    return counts


sentences = st.lists(st.integers(0, 5), max_size=6)
PAIRS = ([[0, 1, 2], [1, 3], [2, 0, 3, 1], [4], []], [[5, 3], [3, 1, 0], [0, 5, 5, 1], [2, 2], [1]])


@pytest.mark.parametrize("expectation", ["transport", "agreement"])
@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(sentences, sentences), min_size=1, max_size=5),
    st.integers(0, 1000),
    st.sampled_from([0.0, 3.0]),
)
def test_counts_are_those_written_out(expectation, pairs, seed, slope):
    sources, targets = zip(*pairs, strict=True)
    generator = np.random.default_rng(seed)
    start = generator.random((6, 6)) * (generator.random((6, 6)) < 0.7)
    model = SequenceModel(slope=slope, dustbin=0.05, rounds=1, expectation=expectation)
    found = sequence_counts(sources, targets, csr_array(start), model).toarray()
    expected = counted_by_hand(sources, targets, start, model)
    # A count may fall on either side of the threshold by rounding.
    assert np.abs(found - expected).max() < 0.021
    assert np.isclose(found, expected, atol=1e-3).mean() > 0.9


def test_rounds_go_on_from_each_other():
    start = alignment_counts(*PAIRS, (6, 6))
    once = sequence_counts(*PAIRS, start, SequenceModel(rounds=1))
    twice = sequence_counts(*PAIRS, once, SequenceModel(rounds=1))
    np.testing.assert_allclose(sequence_counts(*PAIRS, start, SequenceModel(rounds=2)).toarray(), twice.toarray())
    np.testing.assert_allclose(
        twice.toarray(), counted_by_hand(*PAIRS, start.toarray(), SequenceModel(rounds=2)), atol=1e-3
    )


@pytest.mark.parametrize("expectation", ["transport", "agreement"])
def test_blocks_and_padding_do_not_matter(monkeypatch, expectation):
    generator = np.random.default_rng(0)
    rows = [[generator.integers(0, 9, generator.integers(0, 8)) for _ in range(30)] for _ in range(2)]
    start = alignment_counts(*rows, (9, 9))
    model = SequenceModel(rounds=2, expectation=expectation)
    whole = sequence_counts(*rows, start, model).toarray()
    for name in ("_BLOCK", "_LOOKED_UP", "_GATHERED"):
        monkeypatch.setattr(counting, name, 1)
    single = sequence_counts(*rows, start, model).toarray()
    np.testing.assert_allclose(single, whole, atol=1e-4)
    assert whole.sum() > 1


def test_order_decides_where_counts_cannot():
    """Two words that always come together, in the same order on both sides."""
    pairs = [[0, 1, 2, 3]] * 4, [[0, 1, 2, 3]] * 4
    start = csr_array(np.ones((4, 4)))
    np.testing.assert_array_equal(sequence_counts(*pairs, start).argmax(axis=1), range(4))
    without = sequence_counts(*pairs, start, SequenceModel(slope=0.0)).toarray()
    np.testing.assert_allclose(without, without[0, 0], rtol=1e-3)


def test_small_expectations_are_dropped():
    start = alignment_counts(*PAIRS, (6, 6))
    sizes = [sequence_counts(*PAIRS, start, SequenceModel(least=least)).nnz for least in (0.0, 0.02, 0.5)]
    assert sizes[0] > sizes[1] > sizes[2] > 0


def test_pieces_compete():
    """Both foreign pieces like the first English one better; only transport leaves the second to the weaker."""
    kernel = np.array([[[0.9, 0.3], [0.5, 0.02]]], dtype=np.float32)
    two = np.ones((1, 2), dtype=bool)
    plan = transport_expectation(kernel, two, two, 0.01)[0]
    agreed = agreed_expectation(kernel, kernel, two, two, 0.01)[0]
    assert plan[0, 1] > plan[0, 0]
    assert agreed[0, 0] > agreed[0, 1]


def test_a_word_without_counterpart_goes_to_the_dustbin():
    kernel = np.array([[[0.8, 1e-7], [1e-7, 1e-7]]], dtype=np.float32)
    two = np.ones((1, 2), dtype=bool)
    plan = transport_expectation(kernel, two, two, 0.01)[0]
    assert plan[0, 0] > 0.8
    assert plan[1].sum() < 0.05


def test_expectations_are_those_of_the_pair_alone():
    generator = np.random.default_rng(3)
    kernel = generator.random((2, 4, 5)).astype(np.float32)
    left, right = np.ones((2, 4), dtype=bool), np.ones((2, 5), dtype=bool)
    left[1, 2:] = right[1, 3:] = False
    plan = transport_expectation(kernel, left, right, 0.1)
    np.testing.assert_allclose(plan[0], scaled_by_hand(kernel[0].astype(float), 0.1, 10), rtol=1e-4)
    np.testing.assert_allclose(plan[1, :2, :3], scaled_by_hand(kernel[1, :2, :3].astype(float), 0.1, 10), rtol=1e-4)
    assert not plan[1, 2:].any() and not plan[1, :, 3:].any()
    prior = positional_prior(left, right, 2.0)
    np.testing.assert_allclose(prior[1, 1, 0], np.exp(-2 * abs(0.75 - 1 / 6)), rtol=1e-5)


def test_a_piece_that_the_start_does_not_know_takes_what_is_left():
    sources, targets = [[0, 1], [0, 1], [0, 2], [2]], [[3, 4], [4, 3], [3, 5], [5]]
    start = np.zeros((3, 6))
    start[0, 3] = start[2, 5] = 5.0
    counts = sequence_counts(sources, targets, csr_array(start))
    assert counts.toarray()[1].argmax() == 4


def test_the_start_is_left_alone_and_repeatable():
    start = alignment_counts(*PAIRS, (6, 6))
    before = start.copy()
    first, second = (sequence_counts(*PAIRS, start).toarray() for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(start.toarray(), before.toarray())
    assert sequence_counts([], [], start).nnz == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([[0]], [[0], [0]]), "1 source sentences and 2"),
        (([[0], [], [7]], [[0], [0], [0]]), "row 3, field 'source_ids': found piece 7"),
        (([[0]], [[-1]]), "row 1, field 'target_ids': found piece -1"),
    ],
)
def test_bad_pieces_are_named(arguments, words):
    with pytest.raises(InputError, match=words):
        sequence_counts(*arguments, csr_array((3, 2)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"slope": -1.0}, "slope is -1"),
        ({"dustbin": 0.0}, "dustbin is 0"),
        ({"rounds": 0}, "rounds is 0"),
        ({"iterations": 0}, "iterations is 0"),
        ({"least": 1.0}, "least is 1"),
        ({"expectation": "greedy"}, "expectation is 'greedy'"),
    ],
)
def test_bad_settings_are_named(changes, words):
    with pytest.raises(InputError, match=words):
        SequenceModel(**changes)
