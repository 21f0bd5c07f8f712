"""The centred token terms against loops over pairs and tokens, their padding, and their gradients."""

from __future__ import annotations

import math

import pytest
import tiny_models
import torch
from test_ot_distillation import features_of
from torch.nn import functional

from hf_optical.encoders.token_view import TokenView
from hf_optical.losses import OTDistillationLoss
from hf_optical.losses.centred_tokens import centred_tokens
from hf_optical.losses.centred_transport import centred_transport_loss
from hf_optical.losses.greedy import greedy_alignment
from hf_optical.losses.plan_labels import PLANS, plan_label_loss, transport_plan
from hf_optical.transport.unbalanced import unbalanced_plan

LENGTHS = [(5, 7), (4, 3), (8, 6)]
NAMES = ["centred_ot", *PLANS]


def _view(lengths, seed, padding=0.0):
    """First and last tokens special, the second of a prompt; on the padding whatever is asked for."""
    draw, width = torch.Generator().manual_seed(seed), max(lengths)
    tokens = torch.full((len(lengths), width, 6), padding)
    mask = torch.zeros(len(lengths), width, dtype=torch.bool)
    special, text = mask.clone(), mask.clone()
    for row, n in enumerate(lengths):
        tokens[row, :n] = torch.randn(n, 6, generator=draw) + 1
        mask[row, :n] = text[row, :n] = True
        special[row, [0, n - 1]] = True
    return TokenView(tokens, mask, text, special, tokens.mean(1), mask.long())


@pytest.fixture
def views():
    return _view([n for n, _ in LENGTHS], 0), _view([m for _, m in LENGTHS], 1)


def _centred(view):
    rows = [view.tokens[row, 1 : int(view.mask[row].sum()) - 1] for row in range(len(view.tokens))]
    units = [functional.normalize(row, dim=-1) for row in rows]
    mean = torch.cat(units).mean(0)
    masses = [row.norm(dim=-1) / row.norm(dim=-1).sum() for row in rows]
    return [functional.normalize(unit - mean, dim=-1) for unit in units], masses


def test_special_and_prompt_tokens_are_left_out(views):
    view = views[0]
    view.text[:, 1] = False  # a prompt of one token
    assert centred_tokens(view).mask.sum(1).tolist() == [2, 1, 5]


def test_centred_transport_pair_by_pair(views):
    (mine, a), (theirs, b) = _centred(views[0]), _centred(views[1])
    total = 0.0
    for i in range(len(LENGTHS)):
        cost = 1 - mine[i] @ theirs[i].T
        plan = unbalanced_plan(cost[None], a[i][None], b[i][None])[0]
        total += float((plan * cost).sum() / plan.sum())
    assert float(centred_transport_loss(*views)) == pytest.approx(total / len(LENGTHS), abs=1e-5)


@pytest.mark.parametrize("name", PLANS)
def test_labels_token_by_token(views, name):
    mine, theirs = _centred(views[0])[0], _centred(views[1])[0]
    everything = torch.cat(theirs)
    total = 0.0
    for i, (student, teacher) in enumerate(zip(mine, theirs, strict=True)):
        n, m = len(student), len(teacher)
        similarity = student @ teacher.T
        ones = torch.ones(1, n).bool(), torch.ones(1, m).bool()
        if name == "ot_labels":
            plan = transport_plan(similarity[None], *ones)[0]
        elif name == "uniform_labels":
            plan = torch.full((n, m), 1 / (n * m))
        elif name == "nearest_labels":
            plan = functional.one_hot(similarity.argmax(1), m) / n
        else:
            partner = greedy_alignment(similarity[None], *ones)[0].tolist()
            plan = torch.zeros(n, m)
            for token, place in enumerate(partner):
                if place >= 0:
                    plan[token, place] = 1 / min(n, m)
        before = sum(len(other) for other in theirs[:i])
        for x in range(n):
            scores = [float(student[x] @ every) / 0.1 for every in everything]
            normaliser = math.log(sum(math.exp(score) for score in scores))
            total -= sum(float(plan[x, y]) * (scores[before + y] - normaliser) for y in range(m))
    assert float(plan_label_loss(*views, PLANS[name], 0.1)) == pytest.approx(total / len(LENGTHS), rel=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_padding_changes_nothing_and_gradients_are_finite(name):
    def value(padding):
        student = _view([n for n, _ in LENGTHS], 0, padding)
        student.tokens.requires_grad_(True)
        teacher = _view([m for _, m in LENGTHS], 1, padding)
        if name == "centred_ot":
            loss = centred_transport_loss(student, teacher)
        else:
            loss = plan_label_loss(student, teacher, PLANS[name])
        loss.backward()
        return loss.detach(), student.tokens.grad

    (plain, slope), (odd, other) = value(0.0), value(float("nan"))
    torch.testing.assert_close(plain, odd)
    torch.testing.assert_close(slope, other)
    assert slope.abs().sum() > 0


def test_a_side_against_itself_costs_next_to_nothing(views):
    student, teacher = views
    assert float(centred_transport_loss(teacher, teacher)) < 0.05 < float(centred_transport_loss(student, teacher))
    for name in ("ot_labels", "greedy_labels", "nearest_labels"):
        own, other = (float(plan_label_loss(side, teacher, PLANS[name], 0.05)) for side in (teacher, student))
        assert own < 0.2 < other
    means = centred_tokens(teacher).units.sum((0, 1)) / centred_tokens(teacher).mask.sum()
    assert means.norm() < 0.2 < functional.normalize(teacher.tokens, dim=-1).mean((0, 1)).norm()


@pytest.mark.parametrize("name", NAMES)
def test_a_term_trains_through_the_loss(tmp_path, name):
    student = tiny_models.dense(tmp_path, tiny_models.SWAHILI, seed=1)
    teacher = tiny_models.dense(tmp_path, tiny_models.ENGLISH)
    loss = OTDistillationLoss(student, teacher, objective={name: 0.5, "mse": 1.0})
    optimizer = torch.optim.Adam(student.parameters(), lr=5e-3)
    rows = tiny_models.bitext(12)
    values = []
    for _ in range(15):
        terms = loss(features_of(student, teacher, rows), None)
        assert set(terms) == {name, "mse"}
        optimizer.zero_grad()
        sum(terms.values()).backward()
        optimizer.step()
        values.append(float(terms[name].detach()))
    assert values[-1] < values[0]
