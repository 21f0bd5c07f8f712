from __future__ import annotations

import numpy as np
import pytest
import tiny_models
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from test_ot_distillation import features_of
from torch import nn

from hf_optical.encoders.token_view import boundary_token_ids, encode_tokens
from hf_optical.errors import InputError
from hf_optical.losses import OTDistillationLoss, parse_objective, reads_english
from hf_optical.losses.greedy import greedy_alignment
from hf_optical.losses.nearest import nearest_alignment
from hf_optical.losses.token_mse import token_mse


def slow_greedy(similarity, rows, columns):
    """The definition: take the largest that is left, strike out its row and column, until one side has none."""
    rows, columns = list(np.flatnonzero(rows)), list(np.flatnonzero(columns))
    partner = [-1] * len(similarity)
    while rows and columns:
        _, i, j = min((-similarity[i][j], i, j) for i in rows for j in columns)
        partner[i] = int(j)
        rows.remove(i)
        columns.remove(j)
    return partner


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 9), st.integers(1, 9), st.booleans())
def test_greedy_alignment_is_the_slow_definition(seed, n, m, ties):
    generator = np.random.default_rng(seed)
    similarity = generator.uniform(-1, 1, (4, n, m)).astype(np.float32)
    if ties:  # three values only: nearly everything is equal to something
        similarity = np.round(similarity)
    rows, columns = generator.random((4, n)) < 0.7, generator.random((4, m)) < 0.7
    found = greedy_alignment(*map(torch.from_numpy, (similarity, rows, columns)))
    assert found.tolist() == [slow_greedy(*parts) for parts in zip(similarity, rows, columns, strict=True)]


def test_greedy_alignment_survives_its_worst_case():
    # Every round leaves one mutual best only: the i-th row prefers the column that the row before takes.
    n = 12
    similarity = torch.zeros(1, n, n)
    for i in range(n):
        similarity[0, i, i] = 1 - 0.02 * i
        if i:
            similarity[0, i, i - 1] = 1 - 0.02 * i + 0.01
    ones = torch.ones(1, n).bool()
    assert greedy_alignment(similarity, ones, ones)[0].tolist() == slow_greedy(similarity[0].numpy(), ones[0], ones[0])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 7), st.integers(1, 7))
def test_nearest_alignment_is_the_slow_definition(seed, n, m):
    generator = np.random.default_rng(seed)
    similarity = generator.uniform(-1, 1, (3, n, m)).astype(np.float32)
    rows, columns = generator.random((3, n)) < 0.7, generator.random((3, m)) < 0.7
    expected = [
        [
            max(np.flatnonzero(columns[b]), key=lambda j: similarity[b, i, j])
            if rows[b, i] and columns[b].any()
            else -1
            for i in range(n)
        ]
        for b in range(3)
    ]
    assert nearest_alignment(*map(torch.from_numpy, (similarity, rows, columns))).tolist() == expected


@pytest.mark.parametrize("special_tokens", ["match", "exclude", "transport"])
@pytest.mark.parametrize("name", ["greedy", "nearest"])
def test_the_token_terms_by_hand_one_pair_at_a_time(tmp_path, name, special_tokens):
    student = tiny_models.dense(tmp_path, tiny_models.SWAHILI, seed=1)
    teacher = tiny_models.dense(tmp_path, tiny_models.ENGLISH)
    rows = tiny_models.bitext(6)
    loss = OTDistillationLoss(student, teacher, objective=f"2*{name}", special_tokens=special_tokens)
    expected = []
    for row in rows:
        views = [
            encode_tokens(model, model.preprocess([text]), boundary_token_ids(model), late_interaction=False)
            for model, text in ((student, row["translation"]), (teacher, row["source"]))
        ]
        mine, theirs = (view.tokens[0].detach().double().numpy() for view in views)
        unit = [tokens / np.linalg.norm(tokens, axis=1, keepdims=True) for tokens in (mine, theirs)]
        pairs, inner = [], [slice(None)] * 2
        if special_tokens != "transport":
            inner = [slice(1, -1)] * 2
        if special_tokens == "match":
            pairs = [(mine[0], theirs[0]), (mine[-1], theirs[-1])]
        similarity = (unit[0][inner[0]] @ unit[1][inner[1]].T).astype(np.float32)
        if name == "greedy":
            partner = slow_greedy(similarity, np.ones(len(similarity)), np.ones(similarity.shape[1]))
        else:
            partner = similarity.argmax(1)
        ours, others = mine[inner[0]], theirs[inner[1]]
        pairs += [(ours[i], others[j]) for i, j in enumerate(partner) if j >= 0]
        expected.append(np.mean([np.mean((a - b) ** 2) for a, b in pairs]))
    found = loss(features_of(student, teacher, rows))
    assert set(found) == {name}
    assert found[name].item() == pytest.approx(2 * np.mean(expected), rel=1e-4)


@pytest.mark.parametrize("align", [greedy_alignment, nearest_alignment])
@pytest.mark.parametrize("poison", [1e4, float("inf"), float("nan")])
def test_padding_changes_neither_the_token_loss_nor_its_gradient(align, poison):
    torch.manual_seed(0)
    mask, other_mask = torch.tensor([[1, 1, 1, 0, 0]]).bool(), torch.tensor([[1, 1, 1, 1, 0]]).bool()
    clean, other = torch.randn(1, 5, 8), torch.randn(1, 5, 8)
    results = []
    for content in (0.0, poison):
        tokens, theirs = clean.clone(), other.clone()
        tokens[~mask], theirs[~other_mask] = content, content
        tokens.requires_grad_(True)
        none = torch.zeros(1, 5).bool()
        loss, _ = token_mse((tokens, mask, none), (theirs, other_mask, none), align)
        loss.sum().backward()
        results.append((loss.detach(), tokens.grad[mask]))
    torch.testing.assert_close(results[0], results[1], atol=1e-6, rtol=0)


def test_a_side_without_tokens_has_no_loss():
    none, one = torch.zeros(1, 2).bool(), torch.ones(1, 2).bool()
    tokens = torch.randn(1, 2, 4, requires_grad=True)
    loss, partner = token_mse((tokens, none, none), (torch.randn(1, 2, 4), one, none), greedy_alignment)
    assert loss.tolist() == [0.0] and partner.tolist() == [[-1, -1]]


def test_self_contrast_is_ordinary_fine_tuning(tmp_path):
    student = tiny_models.dense(tmp_path, [*tiny_models.SWAHILI, *tiny_models.ENGLISH], seed=1)
    teacher = tiny_models.dense(tmp_path, tiny_models.ENGLISH)
    rows = tiny_models.bitext(6)
    embeddings = [torch.tensor(student.encode(rows[side])) for side in ("translation", "source")]
    expected = MultipleNegativesRankingLoss(student, scale=20.0).compute_loss_from_embeddings(embeddings, None)
    loss = OTDistillationLoss(student, teacher, objective="0.5*self_nce")
    found = loss(features_of(student, teacher, rows, mirror=True))
    assert set(found) == {"self_nce"}
    assert found["self_nce"].item() == pytest.approx(0.5 * expected.item(), abs=1e-5)
    # Both readings are trained: the gradient reaches the row of an English word, which no translation has.
    found["self_nce"].backward()
    gradient = student[0].auto_model.embeddings.word_embeddings.weight.grad
    english = student.tokenizer.convert_tokens_to_ids(rows[0]["source"].split()[0])
    assert gradient[english].abs().sum() > 0
    with pytest.raises(InputError, match=r"'self_nce' needs the English .*mirror=True"):
        loss(features_of(student, teacher, rows))


def test_self_contrast_of_late_interaction_by_hand(tmp_path):
    student = tiny_models.late(tmp_path, [*tiny_models.SWAHILI, *tiny_models.ENGLISH], seed=1)
    teacher = tiny_models.late(tmp_path, tiny_models.ENGLISH)
    rows = tiny_models.bitext(4)
    mine, theirs = student.encode_query(rows["translation"]), student.encode_query(rows["source"])
    scores = torch.tensor([[(q @ d.T).max(1).mean() for d in map(np.asarray, theirs)] for q in map(np.asarray, mine)])
    expected = nn.functional.cross_entropy(scores.float() / 0.05, torch.arange(4))
    loss = OTDistillationLoss(student, teacher, objective="self_nce")
    found = loss(features_of(student, teacher, rows, mirror=True))["self_nce"]
    assert found.item() == pytest.approx(expected.item(), abs=1e-4)


@pytest.mark.parametrize("objective", ["greedy", "nearest", "self_nce", "greedy+0.5*self_nce+ot"])
def test_the_new_terms_train(tmp_path, objective):
    from hf_optical import OTDistillationTrainer, OTDistillationTrainingArguments

    student = tiny_models.dense(tmp_path, [*tiny_models.SWAHILI, *tiny_models.ENGLISH], seed=1)
    before = student[0].auto_model.embeddings.word_embeddings.weight.detach().clone()
    arguments = OTDistillationTrainingArguments(
        output_dir=str(tmp_path / "out"), objective=objective, max_steps=2, learning_rate=1e-3, use_cpu=True,
        report_to="none", save_strategy="no", disable_tqdm=True,
    )  # fmt: skip
    OTDistillationTrainer(
        model=student,
        teacher=tiny_models.dense(tmp_path, tiny_models.ENGLISH),
        args=arguments,
        train_dataset={"bitext/eng_Latn-swh_Latn": tiny_models.bitext(16)},
    ).train()
    after = student[0].auto_model.embeddings.word_embeddings.weight
    assert torch.isfinite(after).all() and not torch.equal(after, before)


def test_objectives_with_the_new_terms_are_parsed_and_refused():
    assert parse_objective("greedy + 0.5*nce") == {"greedy": 1.0, "nce": 0.5}
    assert [reads_english(text) for text in ("nearest", "self_nce", "ot+source")] == [False, True, True]
    with pytest.raises(InputError, match="did you mean 'greedy'"):
        parse_objective("gredy")
    with pytest.raises(InputError, match="'source' repeats terms"):
        parse_objective("self_nce+source")


def test_token_terms_alone_do_not_train_an_excluded_special_token(tmp_path):
    student = tiny_models.dense(tmp_path, tiny_models.SWAHILI, seed=1)
    student[1].pooling_mode = "cls"
    teacher = tiny_models.dense(tmp_path, tiny_models.ENGLISH)
    if student[1].pooling_mode != "cls":
        pytest.skip("this version of sentence-transformers fixes the pooling mode at construction")
    with pytest.raises(InputError, match="leaves untrained"):
        OTDistillationLoss(student, teacher, objective="greedy", special_tokens="exclude")
