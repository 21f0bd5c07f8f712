"""Whatever token vectors come, a loss and its gradient are finite, or an error says what is not."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import pytest
import tiny_models
import torch
from fuzz_profiles import fuzz
from hypothesis import strategies as st

from hf_optical import OTDistillationLoss
from hf_optical.encoders.token_view import TokenView
from hf_optical.errors import InputError, NonFiniteError
from hf_optical.losses.contrast import InBatchContrast
from hf_optical.losses.finite import check_finite
from hf_optical.losses.word_contrast import hardest_triplet, info_nce
from hf_optical.transport import SOLVERS, uniform_marginals

WIDTH = 6
CASES = st.fixed_dictionaries(
    {
        "seed": st.integers(0, 2**31),
        "rows": st.integers(1, 5),
        "lengths": st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=5, max_size=5),
        "specials": st.sampled_from(["ends", "none", "all", "one side"]),
        "left": st.booleans(),
        "scale": st.sampled_from([1.0, 1e-30, 1e-12, 1e4, 1e15, 1e25, 1e38]),
        "vectors": st.sampled_from(["random", "zero", "one zero", "equal", "same as teacher", "opposite"]),
        "padding": st.sampled_from([0.0, float("nan"), float("inf"), 1e38]),
    }
)


@functools.cache
def loss_of(objective: str) -> OTDistillationLoss:
    with tempfile.TemporaryDirectory() as folder:
        student = tiny_models.dense(Path(folder), tiny_models.SWAHILI, width=8, seed=1)
        teacher = tiny_models.dense(Path(folder), tiny_models.ENGLISH, width=8)
        return OTDistillationLoss(student, teacher, objective=objective)


def side(case: dict, place: int, generator: torch.Generator) -> TokenView:
    """A batch of random lengths, with its special tokens, its padding, and vectors of a kind."""
    rows, lengths = case["rows"], torch.tensor([pair[place] for pair in case["lengths"]])[: case["rows"]]
    longest = int(lengths.max())
    mask = torch.arange(longest).expand(rows, -1) < lengths.unsqueeze(1)
    special = torch.zeros_like(mask)
    if case["specials"] == "all" or (case["specials"] == "one side" and place):
        special = mask.clone()
    elif case["specials"] == "ends":
        special[:, 0] = True
        special[torch.arange(rows), lengths - 1] = True
    tokens = torch.randn(rows, longest, WIDTH, generator=generator) * case["scale"]
    if case["vectors"] == "zero" and not place:
        tokens = torch.zeros_like(tokens)
    elif case["vectors"] == "one zero":
        tokens[0, 0] = 0
    elif case["vectors"] == "equal":
        tokens = tokens[:1, :1].expand(rows, longest, WIDTH).clone()
    if case["left"]:
        mask, special, tokens = mask.flip(1), special.flip(1), tokens.flip(1)
    tokens = tokens.masked_fill(~mask.unsqueeze(2), case["padding"])
    sentence = tokens.masked_fill(~mask.unsqueeze(2), 0).sum(1) / lengths.unsqueeze(1)
    ids = torch.randint(0, 9, mask.shape, generator=generator)
    return TokenView(tokens, mask, mask, special, sentence, ids)


def views(case: dict) -> tuple[TokenView, TokenView, torch.Tensor]:
    """Student and teacher, and the leaf of which the gradient is taken."""
    generator = torch.Generator().manual_seed(case["seed"])
    teacher, student = side(case, 1, generator), side(case, 0, generator)
    if case["vectors"] in ("same as teacher", "opposite"):
        case["lengths"] = [(pair[1], pair[1]) for pair in case["lengths"]]
        student = side(case, 0, generator)
        sign = 1 if case["vectors"] == "same as teacher" else -1
        student.tokens.copy_(sign * teacher.tokens)
        student.sentence.copy_(sign * teacher.sentence)
    leaf = student.tokens.clone().requires_grad_()
    sentence = leaf.masked_fill(~student.mask.unsqueeze(2), 0).sum(1) / student.mask.sum(1, keepdim=True)
    return TokenView(leaf, student.mask, student.text, student.special, sentence, student.input_ids), teacher, leaf


def refused(student: TokenView, teacher: TokenView) -> bool:
    """Vectors that are not finite, or whose sum is not, never reach a term: the loss stops before, as it must."""
    sides = {"student": student, "teacher": teacher}
    sound = all(view.tokens[view.mask].isfinite().all() and view.sentence.isfinite().all() for view in sides.values())
    if not sound:
        with pytest.raises(NonFiniteError):
            check_finite(sides, loss_of("ot")._tokenizers)
    return not sound


def check(case: dict, terms: dict[str, torch.Tensor], leaf: torch.Tensor, mask: torch.Tensor, squares: bool) -> None:
    """Finite, and so is the gradient on real tokens; what is squared may overflow, and the trainer stops at that."""
    huge = squares and case["scale"] >= 1e15
    total = sum(terms.values())
    assert not torch.isnan(total) or huge, terms
    if not torch.isfinite(total):
        assert huge, terms
        return
    total.backward()
    if leaf.grad is not None and not huge:
        assert torch.isfinite(leaf.grad[mask]).all(), "the gradient is not finite"


@fuzz(
    6,
    case=CASES,
    objective=st.sampled_from(["ot", "ot+nce+cos", "greedy", "nearest", "mse"]),
    solver=st.sampled_from([*SOLVERS]),
    special=st.sampled_from(["match", "exclude", "transport"]),
)
def test_distillation_terms(case, objective, solver, special):
    loss = loss_of(objective)
    loss.solver, loss.special_tokens = SOLVERS[solver](), special
    student, teacher, leaf = views(case)
    if refused(student, teacher):
        return
    try:
        terms = loss.compute_terms(student, teacher)
    except (InputError, NonFiniteError):
        assert case["scale"] > 1, "an error for sound vectors"
        return
    check(case, terms, leaf, student.mask, squares=objective in ("mse", "greedy", "nearest"))
    if objective == "ot":
        assert 0 <= float(terms["ot"].detach()) <= 2 + 1e-4


@fuzz(2, case=CASES, late=st.booleans(), temperature=st.sampled_from([0.01, 0.05, 1.0]))
def test_contrast(case, late, temperature):
    student, teacher, leaf = views(case)
    if refused(student, teacher):
        return
    value = InBatchContrast(temperature, late_interaction=late)(student, teacher)
    check(case, {"nce": value}, leaf, student.mask, squares=late)
    if case["rows"] == 1 and case["scale"] == 1:
        assert abs(float(value.detach())) < 1e-5, "one pair has no negatives"


@fuzz(2, rows=st.integers(1, 6), extra=st.integers(0, 4), seed=st.integers(0, 2**31), share=st.floats(0, 1))
def test_word_contrast(rows, extra, seed, share):
    generator = torch.Generator().manual_seed(seed)
    similarity = (torch.rand(rows, rows + extra, generator=generator) * 2 - 1).requires_grad_()
    target, negative = torch.arange(rows), torch.rand(rows, rows + extra, generator=generator) < share
    negative[target, target] = False
    for value in (hardest_triplet(similarity, target, negative, 0.4), info_nce(similarity, target, negative, 0.05)):
        (gradient,) = torch.autograd.grad(value, similarity)
        assert torch.isfinite(value) and torch.isfinite(gradient).all() and float(value) >= 0
        if not negative.any():
            assert float(value) == 0 and not gradient.any()


@fuzz(
    4,
    seed=st.integers(0, 2**31),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 7), st.integers(1, 7)),
    name=st.sampled_from([*SOLVERS]),
    cost=st.sampled_from(["random", "zero", "two", "equal rows"]),
    share=st.floats(0, 1),
)
def test_plans_keep_their_marginals(seed, shape, name, cost, share):
    generator = torch.Generator().manual_seed(seed)
    values = {
        "random": torch.rand(shape, generator=generator) * 2,
        "zero": torch.zeros(shape),
        "two": torch.full(shape, 2.0),
    }
    values["equal rows"] = values["random"][:, :1].expand(shape)
    a, b = (
        uniform_marginals(
            (torch.rand(shape[0], size, generator=generator) < share).index_fill(1, torch.tensor([0]), True)
        )
        for size in shape[1:]
    )
    plan = SOLVERS[name]()(values[cost], a, b)
    assert torch.isfinite(plan).all() and (plan >= 0).all()
    assert not plan[(a == 0).unsqueeze(2) | (b == 0).unsqueeze(1)].any(), "mass on padding"
    torch.testing.assert_close(plan.sum((1, 2)), torch.ones(shape[0]), atol=1e-3, rtol=0)
