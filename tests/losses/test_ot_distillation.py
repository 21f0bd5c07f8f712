from __future__ import annotations

import numpy as np
import pytest
import tiny_models
import torch
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from torch import nn

from hf_optical.batching.collation import OTDistillationDataCollator
from hf_optical.encoders.token_view import TokenView, boundary_token_ids, content_mask, encode_tokens
from hf_optical.errors import InputError, NonFiniteError
from hf_optical.losses import OTDistillationLoss, parse_objective
from hf_optical.losses.alignment import transport_loss
from hf_optical.transport import IPOT, Exact, Sinkhorn


@pytest.fixture
def models(tmp_path):
    return tiny_models.dense(tmp_path, tiny_models.SWAHILI, seed=1), tiny_models.dense(tmp_path, tiny_models.ENGLISH)


@pytest.fixture
def late_models(tmp_path):
    return tiny_models.late(tmp_path, tiny_models.SWAHILI, seed=1), tiny_models.late(tmp_path, tiny_models.ENGLISH)


def features_of(student, teacher, rows, mirror=False):
    from sentence_transformers.base.trainer import BaseTrainer

    batch = OTDistillationDataCollator.for_models(student, teacher, mirror=mirror)([dict(row) for row in rows])
    return BaseTrainer.collect_features(None, batch)[0]


def terms_of(loss, models, rows=8, mirror=False):
    return loss(features_of(*models, tiny_models.bitext(rows), mirror))


@pytest.mark.parametrize("solver", [IPOT(), Sinkhorn(), Exact()])
def test_the_transport_term_is_the_mean_cost_of_each_pair_alone(models, solver):
    # A loop over pairs, one at a time and without padding, is the definition; the batch must equal it.
    student, teacher = models
    loss = OTDistillationLoss(student, teacher, solver=solver, special_tokens="transport")
    rows = tiny_models.bitext(6)
    together = loss(features_of(student, teacher, rows))["ot"]
    alone = [loss(features_of(student, teacher, rows.select([i])))["ot"] for i in range(6)]
    torch.testing.assert_close(together, torch.stack(alone).mean(), atol=1e-5, rtol=0)


def test_special_tokens_are_matched_or_left_out_or_transported():
    student = (torch.eye(4)[None], torch.ones(1, 4).bool(), torch.tensor([[1, 0, 0, 1]]).bool())
    # The teacher's special tokens are the opposite of the student's; the content is the same, in another order.
    vectors = torch.stack([-torch.eye(4)[0], torch.eye(4)[2], torch.eye(4)[1], -torch.eye(4)[3]])[None]
    teacher = (vectors, torch.ones(1, 4).bool(), student[2])
    excluded, plan = transport_loss(student, teacher, Exact(), "exclude")
    matched, _ = transport_loss(student, teacher, Exact(), "match")
    assert excluded.item() == pytest.approx(0, abs=1e-6)
    assert plan[0, 1, 2] == pytest.approx(0.5) and plan[0, 0].sum() == 0
    assert matched.item() == pytest.approx(0.5 * 2.0)  # half of the tokens are special, each at cost 2
    transported, _ = transport_loss(student, teacher, Exact(), "transport")
    assert 0 < transported.item() < matched.item()


def test_a_row_of_special_tokens_only_keeps_them():
    mask = torch.tensor([[True, True, False], [True, True, True]])
    special = torch.tensor([[True, True, False], [True, False, True]])
    assert content_mask(mask, special, "exclude").tolist() == [[True, True, False], [False, True, False]]


def test_gradient_of_the_transport_loss_by_finite_differences():
    torch.manual_seed(0)
    tokens = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    other = torch.randn(2, 5, 3, dtype=torch.float64)
    mask, other_mask = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]]).bool(), torch.ones(2, 5).bool()
    special, none = torch.tensor([[1, 0, 1, 0], [1, 0, 0, 1]]).bool(), torch.zeros(2, 5).bool()
    none[:, 0] = none[:, 4] = True

    class Fixed(IPOT):  # the plan is detached, so finite differences must hold it fixed
        plan = None

        def __call__(self, cost, a, b):
            if Fixed.plan is None:
                Fixed.plan = super().__call__(cost, a, b)
            return Fixed.plan

    def objective(x):
        return transport_loss((x, mask, special), (other, other_mask, none), Fixed())[0].sum()

    assert torch.autograd.gradcheck(objective, (tokens,), eps=1e-6, atol=1e-6)


@pytest.mark.parametrize("poison", [0.0, 2.0, 1e4, float("inf"), float("nan")])
def test_what_stands_on_padding_changes_neither_loss_nor_gradient(poison):
    torch.manual_seed(0)
    mask = torch.tensor([[1, 1, 1, 0, 0]]).bool()
    special = torch.zeros(1, 5).bool()
    teacher = (torch.randn(1, 4, 8), torch.ones(1, 4).bool(), torch.zeros(1, 4).bool())
    clean = torch.randn(1, 5, 8)
    results = []
    for content in (0.0, poison):
        tokens = clean.clone()
        tokens[~mask] = content
        tokens.requires_grad_(True)
        loss, _ = transport_loss((tokens, mask, special), teacher, IPOT())
        loss.sum().backward()
        results.append((loss.detach(), tokens.grad[mask]))
    torch.testing.assert_close(results[0], results[1], atol=1e-6, rtol=0)


def test_pooled_terms_are_what_they_say(models):
    student, teacher = models
    rows = tiny_models.bitext(5)
    mine, theirs = student.encode(rows["translation"]), teacher.encode(rows["source"])
    terms = terms_of(OTDistillationLoss(*models, objective="mse+0.5*cos"), models, rows=5)
    assert terms["mse"].item() == pytest.approx(np.mean((mine - theirs) ** 2), abs=1e-6)
    assert terms["cos"].item() == pytest.approx(0.5 * (1 - (mine * theirs).sum(1).mean()), abs=1e-6)


def test_the_contrastive_term_is_sentence_transformers_own(models):
    student, teacher = models
    rows = tiny_models.bitext(6)
    embeddings = [torch.tensor(student.encode(rows["translation"])), torch.tensor(teacher.encode(rows["source"]))]
    expected = MultipleNegativesRankingLoss(student, scale=10.0).compute_loss_from_embeddings(embeddings, None)
    terms = terms_of(OTDistillationLoss(*models, objective="nce", temperature=0.1), models, rows=6)
    assert terms["nce"].item() == pytest.approx(expected.item(), abs=1e-5)


def test_late_interaction_contrast_by_hand(late_models):
    student, teacher = late_models
    rows = tiny_models.bitext(4)
    mine, theirs = student.encode_query(rows["translation"]), teacher.encode_query(rows["source"])
    scores = torch.tensor([[(q @ d.T).max(1).mean() for d in map(np.asarray, theirs)] for q in map(np.asarray, mine)])
    expected = nn.functional.cross_entropy(scores.float() / 0.05, torch.arange(4))
    terms = terms_of(OTDistillationLoss(*late_models, objective="nce"), late_models, rows=4)
    assert terms["nce"].item() == pytest.approx(expected.item(), abs=1e-4)


def test_a_student_equal_to_its_teacher_on_the_same_text_has_no_loss(tmp_path):
    teacher, student = tiny_models.dense(tmp_path), tiny_models.dense(tmp_path)
    loss = OTDistillationLoss(student, teacher, objective="ot+mse+cos")
    features = teacher.preprocess(["the goat sleeps", "a dog runs near the tree"])
    terms = loss([features, features])
    assert all(abs(value.item()) < 1e-5 for value in terms.values())


def test_the_source_term_reads_the_english_with_the_student(models):
    loss = OTDistillationLoss(*models, objective={"ot": 1.0, "source": 0.5})
    terms = terms_of(loss, models, mirror=True)
    assert set(terms) == {"ot", "source_ot"}
    with pytest.raises(InputError, match="mirror=True"):
        terms_of(loss, models, mirror=False)


def test_token_weights_move_mass_away_from_worthless_tokens(models):
    student, teacher = models
    weights = (torch.ones(len(student.tokenizer)), torch.ones(len(teacher.tokenizer)))
    same = terms_of(OTDistillationLoss(*models, token_weights=weights), models)["ot"]
    plain = terms_of(OTDistillationLoss(*models), models)["ot"]
    assert same.item() == pytest.approx(plain.item(), abs=1e-5)
    weights[1][5:15] = 100.0
    assert terms_of(OTDistillationLoss(*models, token_weights=weights), models)["ot"].item() != pytest.approx(
        plain.item(), abs=1e-5
    )


def test_bfloat16_autocast_gives_finite_float32_terms(models):
    loss = OTDistillationLoss(*models, objective="ot+nce+mse")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = terms_of(loss, models)
    assert all(value.dtype == torch.float32 and torch.isfinite(value) for value in terms.values())


def test_the_features_are_left_as_they_were(models):  # trap 4
    features = features_of(*models, tiny_models.bitext(3))
    keys = [set(item) for item in features]
    OTDistillationLoss(*models)(features)
    assert [set(item) for item in features] == keys


def test_the_teacher_is_frozen_and_stays_in_evaluation_mode(models):  # trap 7
    student, teacher = models
    loss = OTDistillationLoss(student, teacher).train()
    assert student.training and not teacher.training
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    sum(terms_of(loss, models).values()).backward()
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert all(parameter.grad is not None for parameter in student[0].auto_model.encoder.parameters())


def test_the_teachers_tokens_are_ordinary_tensors(models):  # trap 8: `encode` gives inference tensors
    student, teacher = models
    loss = OTDistillationLoss(student, teacher)
    seen = []
    teacher.register_forward_hook(lambda module, given, output: seen.append(output["token_embeddings"]))
    terms_of(loss, models)["ot"].backward()  # autograd refuses to save an inference tensor for this
    assert seen and not any(tensor.is_inference() or tensor.requires_grad for tensor in seen)


def test_a_wrapped_student_never_becomes_the_teacher(models):  # trap 6
    from sentence_transformers import SentenceTransformerTrainer

    student, teacher = models
    loss = OTDistillationLoss(student, teacher)
    wrapped = nn.Sequential(student)
    SentenceTransformerTrainer.override_model_in_loss(
        SentenceTransformerTrainer.__new__(SentenceTransformerTrainer), loss, wrapped
    )
    assert loss.model is wrapped and loss.teacher is teacher


def test_flattened_flash_attention_batches_are_padded_again():  # trap 11
    lengths, width = [3, 2], 4
    flat = torch.randn(1, sum(lengths), width)
    ids = torch.tensor([[2, 7, 3, 2, 3]])

    class Flat(nn.Module):
        def forward(self, features):
            assert "attention_mask" not in features
            return {**features, "token_embeddings": flat, "sentence_embedding": torch.zeros(2, width)}

    features = {"input_ids": ids, "cu_seq_lens_q": torch.tensor([0, 3, 5])}
    view = encode_tokens(Flat(), features, torch.tensor([2, 3]), late_interaction=False)
    assert view.tokens.shape == (2, 3, width) and view.mask.tolist() == [[True] * 3, [True, True, False]]
    assert view.special.tolist() == [[True, False, True], [True, True, False]]
    torch.testing.assert_close(view.tokens[1, :2], flat[0, 3:])


def test_unknown_words_are_no_special_tokens(models):  # trap 10: only what stands around the text is special
    student, _ = models
    view = encode_tokens(
        student, student.preprocess(["mbuzi zzz"]), boundary_token_ids(student), late_interaction=False
    )
    assert view.special.tolist() == [[True, False, False, True]]


@pytest.mark.parametrize("who", ["teacher", "student"])
def test_non_finite_vectors_stop_naming_side_and_rows(models, who):  # trap 16
    loss = OTDistillationLoss(*models)
    features = features_of(*models, tiny_models.bitext(4))
    body = (loss.teacher if who == "teacher" else loss.model)[0].auto_model
    ids = features[0 if who == "teacher" else 1]["input_ids"]
    body.embeddings.word_embeddings.weight.data[ids[2, 1]] = float("nan")
    with pytest.raises(NonFiniteError, match=rf"the {who}'s vectors are not finite in \d row"):
        loss(features)


def test_a_teacher_with_broken_weights_is_refused_at_once(models):
    student, teacher = models
    teacher[0].auto_model.encoder.layer[0].output.dense.bias.data[0] = float("nan")
    with pytest.raises(NonFiniteError, match="load it again"):
        OTDistillationLoss(student, teacher)


def test_spaces_and_inputs_that_do_not_fit_are_named(models, late_models, tmp_path):
    student, teacher = models
    with pytest.raises(InputError, match=r"different widths .*adapt_student"):
        OTDistillationLoss(tiny_models.dense(tmp_path, width=8), teacher)
    with pytest.raises(InputError, match="both late interaction"):
        OTDistillationLoss(late_models[0], teacher)
    with pytest.raises(InputError, match="same object"):
        OTDistillationLoss(teacher, teacher)
    with pytest.raises(InputError, match="special_tokens"):
        OTDistillationLoss(student, teacher, special_tokens="keep")
    loss = OTDistillationLoss(student, teacher)
    with pytest.raises(InputError, match="for_models"):  # the stock collator, though the tokenizers differ
        loss([student.preprocess(["mbuzi"]), student.preprocess(["mbwa"])])
    with pytest.raises(InputError, match="pairs"):
        loss([student.preprocess(["mbuzi"])])


@pytest.mark.parametrize(
    ("objective", "message"),
    [
        ("ot+mes", "did you mean 'mse'"),
        ("ot+ot", "twice"),
        ("-1*ot", "positive"),
        ("x*ot", "positive"),
        ("source", "no term to train on"),
        ("", "is not a term"),
        ({"ot": 0}, "positive"),
    ],
)
def test_objectives_that_make_no_sense_are_refused(objective, message):
    with pytest.raises(InputError, match=message):
        parse_objective(objective)


def test_the_model_card_gets_configuration_and_citation(models):
    loss = OTDistillationLoss(*models, objective="ot+nce")
    assert loss.get_config_dict()["objective"] == {"ot": 1.0, "nce": 1.0}
    assert "2301.12566" in loss.citation


@pytest.mark.parametrize("padding", ["right", "left"])
def test_a_prompt_is_read_but_not_transported(models, padding):
    student, teacher = models
    student.tokenizer.padding_side = padding
    student.prompts = {"query": "katika chini "}
    features = student.preprocess(["mbuzi analala", "mti"], prompt="katika chini ")
    view = encode_tokens(student, features, boundary_token_ids(student), late_interaction=False)
    words = [
        student.tokenizer.decode(ids[keep & ~special])
        for ids, keep, special in zip(view.input_ids, view.text, view.special, strict=True)
    ]
    assert words == ["mbuzi analala", "mti"]
    assert view.mask.sum().item() == view.text.sum().item() + 4
    teacher.prompts = {"query": "the small "}
    with pytest.raises(InputError, match="under a prompt"):  # the stock collator would leave the prompt out
        OTDistillationLoss(student, teacher)([teacher.preprocess(["goat"]), student.preprocess(["mbuzi"])])


def test_leaving_special_tokens_out_is_refused_where_the_sentence_is_one_of_them(models):
    student, teacher = models
    student[1].pooling_mode = "cls"
    with pytest.raises(InputError, match="special_tokens='match'"):
        OTDistillationLoss(student, teacher, objective="ot", special_tokens="exclude")
    OTDistillationLoss(student, teacher, objective="ot+nce", special_tokens="exclude")


def test_a_third_text_column_is_refused(models):
    student, teacher = models
    features = features_of(student, teacher, tiny_models.bitext(2))
    with pytest.raises(InputError, match="3 text columns"):
        OTDistillationLoss(student, teacher)([*features, student.preprocess(["swh", "swh"])])


def test_masked_tokens_of_a_multi_vector_model_do_not_count(late_models):
    student, teacher = late_models
    loss = OTDistillationLoss(student, teacher, objective="ot+nce", special_tokens="transport")
    features = features_of(student, teacher, tiny_models.bitext(3))
    before = loss(features)
    student[3].skiplist_words, student[3].skiplist_tasks = ["mbuzi", "mti", "mto", "katika"], ["query"]
    student[3].resolve_with_tokenizer(student.tokenizer)
    after = loss(features)
    assert all(before[name].item() != pytest.approx(after[name].item(), abs=1e-6) for name in before)


def test_multi_vector_masks_decide_which_tokens_count(late_models):
    student, teacher = late_models
    loss = OTDistillationLoss(student, teacher, special_tokens="transport")
    view = encode_tokens(
        student, student.preprocess(["mbuzi analala"], task="query"), boundary_token_ids(student), late_interaction=True
    )
    assert isinstance(view, TokenView) and view.tokens.shape[-1] == 8
    assert torch.isfinite(terms_of(loss, late_models)["ot"])
