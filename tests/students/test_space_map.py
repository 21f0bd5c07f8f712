import pytest
import torch

from hf_optical.errors import InputError, NonFiniteError
from hf_optical.students.space_map import LinearMap, Moments, alternate, procrustes, ridge, token_moments
from hf_optical.transport import Sinkhorn


@pytest.fixture
def made():
    """Sources, and targets that a known map makes of them."""
    torch.manual_seed(0)
    x = torch.randn(300, 6, dtype=torch.float64)
    truth = LinearMap(torch.randn(4, 6, dtype=torch.float64), torch.randn(4, dtype=torch.float64))
    return x, truth(x), truth


def test_least_squares_finds_the_map(made):
    x, y, truth = made
    found = ridge(Moments.of(x, y), 0.0)
    torch.testing.assert_close(found.weight, truth.weight, atol=1e-6, rtol=0)
    torch.testing.assert_close(found.bias, truth.bias, atol=1e-6, rtol=0)


def test_ridge_is_the_textbooks(made):
    x, y, _ = made
    centred, goal = x - x.mean(0), y - y.mean(0)
    scale = centred.pow(2).sum() / len(x) / 6
    eye = torch.eye(6, dtype=torch.float64)
    expected = torch.linalg.solve(centred.T @ centred / len(x) + 0.3 * scale * eye, centred.T @ goal / len(x)).T
    torch.testing.assert_close(ridge(Moments.of(x, y), 0.3).weight, expected)


def test_moments_add_up_block_by_block(made):
    x, y, _ = made
    whole, streamed = Moments.of(x, y), Moments.empty(6, 4)
    for start in range(0, 300, 70):
        streamed.add(x[start : start + 70], y[start : start + 70])
    halves = Moments.of(x[:150], y[:150]) + Moments.of(x[150:], y[150:])
    for other in (streamed, halves, whole * 2.0):
        torch.testing.assert_close(ridge(other, 0.1).weight, ridge(whole, 0.1).weight)


@pytest.mark.parametrize(("wide", "narrow"), [(6, 6), (6, 4), (4, 6)])
def test_procrustes_finds_rotation_scale_and_offset(wide, narrow):
    torch.manual_seed(1)
    small = min(wide, narrow)
    x = torch.randn(400, wide, dtype=torch.float64)
    rotation = torch.linalg.qr(torch.randn(max(wide, narrow), small, dtype=torch.float64))[0]
    rotation = rotation if narrow >= wide else rotation.T
    y = 2.5 * x @ rotation.T + 1.0
    found = procrustes(Moments.of(x, y))
    torch.testing.assert_close(found(x), y, atol=1.5 if narrow < wide else 1e-6, rtol=0)
    gram = found.weight @ found.weight.T if narrow <= wide else found.weight.T @ found.weight
    torch.testing.assert_close(gram, gram[0, 0] * torch.eye(small, dtype=torch.float64), atol=1e-8, rtol=0)


def test_within_takes_the_offset_of_one_language_alone(made):
    x, y, _ = made
    shifted = x + 3.0  # the other language: the same map, its vectors elsewhere
    moments = Moments.of(x[:50], y[:50]).within(Moments.of(shifted, y))
    torch.testing.assert_close(ridge(moments, 0.0)(x), y, atol=1e-5, rtol=0)
    mixed = ridge(Moments.of(x[:50], y[:50]) + Moments.of(shifted, y), 0.0)
    assert (mixed(x) - y).abs().max() > 0.1


def test_tokens_are_paired_by_the_plan(made):
    _, _, truth = made
    torch.manual_seed(2)
    x = torch.randn(40, 5, 6, dtype=torch.float64)
    y = truth(x)[:, torch.randperm(5)]  # another order of words
    mask = torch.ones(40, 5, dtype=torch.bool)
    blocks = [(x[:20], mask[:20], y[:20], mask[:20]), (x[20:], mask[20:], y[20:], mask[20:])]
    start = LinearMap(truth.weight + 0.1 * torch.randn(4, 6, dtype=torch.float64), truth.bias)
    moments = token_moments(blocks, start, Sinkhorn(epsilon=0.02, iterations=200))
    assert moments.mass == pytest.approx(40, rel=1e-3)

    def error(found):
        return float((found.weight - truth.weight).norm())

    found = alternate(moments, lambda: blocks, start, lambda some: ridge(some, 0.0), Sinkhorn(0.02, 200), share=0.9)
    assert error(found) < 0.3 * error(start)


def test_padding_carries_no_mass(made):
    _, _, truth = made
    torch.manual_seed(3)
    x = torch.randn(8, 4, 6, dtype=torch.float64)
    y, mask = truth(x), torch.ones(8, 4, dtype=torch.bool)
    padded = [torch.cat([side, torch.full((8, 2, side.shape[2]), 9.0, dtype=torch.float64)], 1) for side in (x, y)]
    longer = torch.cat([mask, torch.zeros(8, 2, dtype=torch.bool)], 1)
    plain = token_moments([(x, mask, y, mask)], truth, Sinkhorn())
    other = token_moments([(padded[0], longer, padded[1], longer)], truth, Sinkhorn())
    torch.testing.assert_close(plain.xy, other.xy, atol=1e-5, rtol=1e-4)


def test_faults_are_named(made):
    x, y, _ = made
    with pytest.raises(InputError, match=r"\(300, 6\).*from 5 to 4"):
        Moments.empty(5, 4).add(x, y)
    with pytest.raises(NonFiniteError, match="not finite"):
        Moments.of(x, y.clone().fill_(float("nan")))
    with pytest.raises(InputError, match="no pairs"):
        ridge(Moments.empty(2, 2), 0.1)
    with pytest.raises(InputError, match="no sentence"):
        token_moments([], LinearMap(torch.eye(2), torch.zeros(2)), Sinkhorn())
