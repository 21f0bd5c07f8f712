"""Another encoder as a student that starts in the teacher's space, on tiny models whose right map is known."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Dense as SentenceDense
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling
from tiny_models import ENGLISH, dense, late

from hf_optical.encoders.shared_space import measure_shared_space
from hf_optical.errors import InputError, NonFiniteError
from hf_optical.students import adapt_student, map_choice
from hf_optical.students.map_choice import MapScore, choose_map
from hf_optical.students.map_ranking import STEPS, ranked_maps
from hf_optical.students.mapped import as_dense, mapped_student
from hf_optical.students.own_search import held_out_rows, ndcg_of_own, score_of_own
from hf_optical.students.readings import Front, Reading
from hf_optical.students.space_map import LinearMap


def sentences(count, seed=0):
    """Different sentences of six words."""
    generator = np.random.default_rng(seed)
    found = {}
    while len(found) < count:
        found[" ".join(generator.choice(ENGLISH, 6))] = None
    return list(found)


@pytest.fixture
def teacher(tmp_path):
    return dense(tmp_path, layers=2).eval()


def test_equal_width_is_no_evidence(teacher, tmp_path):
    other = dense(tmp_path, layers=2, seed=3)
    assert measure_shared_space(deepcopy(teacher), teacher, sentences(40)).same
    found = measure_shared_space(other, teacher, sentences(40))
    assert not found.same
    assert "not the teacher's" in found.sentence()
    wide = measure_shared_space(dense(tmp_path, width=32), teacher, sentences(40))
    assert not wide.same
    assert "32 numbers" in wide.sentence()


@pytest.mark.parametrize("width", [16, 32])
def test_another_encoder_is_mapped_and_saved(teacher, tmp_path, width):
    other = dense(tmp_path, layers=1, seed=3, width=width)
    other.prompts = {"query": "the ", "document": "a "}
    other.save_pretrained(str(tmp_path / "other"))
    texts, reports = sentences(120), []
    pairs = (texts, texts)  # the "translation" is the English itself
    student = adapt_student(tmp_path / "other", teacher, pairs=pairs, on_report=reports.append)
    assert [type(module).__name__ for module in student] == ["Transformer", "Dense", "Pooling", "Normalize"]
    assert student.prompts["query"] == "the "
    assert reports[0].map.chosen.fit == max(score.fit for score in reports[0].map.scores)
    fresh = sentences(60, seed=9)
    random = adapt_student(tmp_path / "other", teacher) if width != 16 else SentenceTransformer(str(tmp_path / "other"))

    def found(model):
        own = [torch.from_numpy(one.encode_query(fresh)) for one in (model, teacher)]
        return ndcg_of_own(own[0], own[1], torch.arange(len(fresh)))

    assert found(student) > found(random) + 0.3
    student.save_pretrained(str(tmp_path / "student"))
    loaded = SentenceTransformer(str(tmp_path / "student"), device="cpu")
    np.testing.assert_allclose(loaded.encode_query(fresh), student.encode_query(fresh), atol=1e-6)


def test_a_teacher_with_a_head_of_another_width(teacher, tmp_path):
    torch.manual_seed(1)
    head = SentenceDense(16, 24, activation_function=torch.nn.Identity())
    headed = SentenceTransformer(modules=[teacher[0], Pooling(16), head, Normalize()], device="cpu").eval()
    dense(tmp_path, layers=1, seed=3, width=32).save_pretrained(str(tmp_path / "other"))
    texts = sentences(120)
    student = adapt_student(tmp_path / "other", headed, pairs=(texts, texts))
    assert student.get_embedding_dimension() == 24
    mine, theirs = (torch.from_numpy(model.encode_query(texts)) for model in (student, headed))
    assert ndcg_of_own(mine, theirs, torch.arange(len(texts))) > 0.5


@pytest.mark.parametrize("kind", ["wider", "as wide", "between", "late"])
def test_an_index_behind_a_head_is_refused_before_anything_is_encoded(teacher, tmp_path, monkeypatch, kind):
    width = 24 if kind == "wider" else 16
    head = SentenceDense(16, width, activation_function=torch.nn.Identity())
    later = [head, Normalize()] if kind == "wider" else [Normalize(), head]
    modules = [teacher[0], Pooling(16), *later]
    if kind == "between":
        modules = [teacher[0], as_dense(LinearMap(torch.eye(16), torch.zeros(16))), Pooling(16), Normalize()]
    headed = late(tmp_path) if kind == "late" else SentenceTransformer(modules=modules, device="cpu").eval()
    other, texts = dense(tmp_path, layers=1, seed=3, width=32), sentences(60)
    monkeypatch.setattr(Front, "read", None)
    rows = [(texts, np.ones((60, width), np.float32))]
    with pytest.raises(InputError, match=r"index_rows.*leave out --index_rows.*leave out --teacher"):
        mapped_student(other[0], headed, texts, texts, complete=other, index=rows)


def test_minilm_under_a_random_head_of_width_768(english_teacher, tmp_path):
    torch.manual_seed(2)
    head = SentenceDense(384, 768, activation_function=torch.nn.Identity())
    teacher = SentenceTransformer(modules=[english_teacher[0], Pooling(384), head, Normalize()], device="cpu").eval()
    dense(tmp_path, layers=1, seed=3, width=32).save_pretrained(str(tmp_path / "other"))
    texts = sentences(80)
    student = adapt_student(tmp_path / "other", teacher, pairs=(texts, texts))
    assert student.get_embedding_dimension() == 768
    mine, theirs = (torch.from_numpy(model.encode_query(texts)) for model in (student, teacher))
    assert ndcg_of_own(mine, theirs, torch.arange(len(texts))) > 0.3  # by chance .06


def test_a_model_of_the_teachers_space_is_left_as_it_is(teacher, tmp_path):
    teacher.save_pretrained(str(tmp_path / "same"))
    reports = []
    student = adapt_student(tmp_path / "same", teacher, pairs=(sentences(40),) * 2, on_report=reports.append)
    assert [type(module).__name__ for module in student] == ["Transformer", "Pooling", "Normalize"]
    assert reports[0].map is None
    assert "used as it is" in reports[0].sentence()


def test_too_few_pairs_fit_no_map(teacher, tmp_path):
    dense(tmp_path, seed=3, width=32).save_pretrained(str(tmp_path / "other"))
    reports = []
    adapt_student(tmp_path / "other", teacher, pairs=(["the goat"] * 5,) * 2, on_report=reports.append)
    assert reports[0].map is None
    assert "random" in reports[0].sentence()


def test_the_index_decides_where_pairs_are_few():
    torch.manual_seed(0)
    truth = torch.linalg.qr(torch.randn(12, 12))[0]
    rows = torch.randn(2_000, 12)
    pairs = torch.randn(24, 12)
    target = Reading(pairs @ truth.T, [])
    noisy = Reading(pairs + 0.8 * torch.randn(24, 12), [])
    goal = torch.nn.functional.normalize(rows @ truth.T, dim=-1)
    texts = [str(number) for number in range(24)]
    for index in (None, (torch.nn.functional.normalize(rows, dim=-1), goal)):
        found, report = choose_map(noisy, noisy, target, lambda y: y, texts, index=index)
        fresh = torch.randn(200, 12)
        score = ndcg_of_own(
            torch.nn.functional.normalize(found(fresh).float(), dim=-1),
            torch.nn.functional.normalize(fresh @ truth.T, dim=-1),
            torch.arange(200),
        )
        if index is None:
            without = score
    assert report.chosen.index > 0
    assert report.index_rows == 2_000
    assert score > without


def test_tokens_do_not_move_an_offset_of_the_translations_own():
    torch.manual_seed(1)
    truth = torch.linalg.qr(torch.randn(8, 8))[0]
    english = torch.randn(80, 8)
    tokens = [row + 0.3 * torch.randn(5, 8) for row in english]
    translations = english + 3 + 0.1 * torch.randn(80, 8)  # all of them lie elsewhere than the English
    target = Reading(english @ truth, [(row @ truth).half() for row in tokens])
    readings = Reading(translations, []), Reading(english, [row.half() for row in tokens]), target.unit()
    parts = map_choice._Parts.of(*readings, None)
    for share in (0.0, 0.5, 0.8):
        found = parts.fit("ridge", 0.001, "own", 0.0, share)
        missed = found(translations).mean(0) - readings[2].pooled.double().mean(0)
        assert float(missed.norm()) < 1e-5, share


def test_equal_english_is_held_out_together():
    texts = [f"text {number // 3}" for number in range(120)]
    held, kept = held_out_rows(texts, seed=1)
    assert not {texts[row] for row in held} & {texts[row] for row in kept}
    assert len(held) + len(kept) == 120


def test_queries_that_say_nothing_find_nothing():
    bank, own = torch.nn.functional.normalize(torch.randn(50, 8), dim=-1), torch.arange(50)
    nothing, broken = torch.zeros(50, 8), torch.full((50, 8), torch.nan)
    assert ndcg_of_own(nothing, bank, own) == ndcg_of_own(broken, bank, own) == 0
    assert ndcg_of_own(bank, torch.cat([broken[:1], bank[1:]]), own) == pytest.approx(0.98)  # but for the broken row
    assert ndcg_of_own(bank, bank, own) == 1
    assert ndcg_of_own(bank, torch.cat([bank, bank]), own) == 1  # the same English twice is right twice
    middle = torch.nn.functional.normalize(bank[:1] + bank[1:2], dim=-1)  # as near to the one as to the other
    assert ndcg_of_own(middle, bank[:2], own[:1]) == pytest.approx(1 / np.log2(3))
    with pytest.raises(NonFiniteError, match="check the weights"):
        score_of_own(broken, bank, own)


def test_pairs_of_one_english_sentence_are_refused_with_the_reason():
    vectors = Reading(torch.randn(30, 8), [])
    with pytest.raises(InputError, match=r"bitext.*all 30 pairs have the same English, 'the goat'.*--source_field"):
        choose_map(vectors, vectors, vectors, lambda y: y, ["the goat"] * 30)


@pytest.mark.parametrize("seed", range(4))
def test_something_is_left_to_fit_on_where_english_repeats(seed):
    """The sentence of 29 pairs is drawn first or last: the other one is on the other side."""
    held, kept = held_out_rows(["the goat"] * 29 + ["the dog"], seed)
    assert held and kept and len(held) + len(kept) == 30


def noisy_languages(count: int = 400, width: int = 16):
    """English and noisy translations as the student reads them, and the teacher's vectors, no linear function of them.

    Least squares would be the best map if they were one.
    """
    generator = torch.Generator().manual_seed(3)
    english = torch.randn(count, width, generator=generator)
    target = torch.relu(english @ torch.randn(width, width, generator=generator) / width**0.5)
    translations = english + 1 + 0.3 * torch.randn(count, width, generator=generator)
    return Reading(translations, []), Reading(english, []), Reading(target, []), [str(row) for row in range(count)]


def test_a_map_refined_by_ranking_finds_more_of_other_sentences():
    translations, english, target, texts = noisy_languages(900)
    fitted = range(400)
    parts = [reading.select(fitted) for reading in (translations, english, target)]
    found = {}
    for refine in (False, True):
        found[refine], report = choose_map(*parts, lambda y: y, texts[:400], refine=refine)
    assert report.chosen.kind == "ridge+rank" and report.chosen.steps in STEPS
    assert report.best("ridge+rank").fit > report.best("ridge").fit + 0.3
    goal = torch.nn.functional.normalize(target.pooled, dim=-1)
    fits = {
        refine: score_of_own(
            torch.nn.functional.normalize(one(translations.pooled[400:]).float(), dim=-1), goal, torch.arange(400, 900)
        )[0]
        for refine, one in found.items()
    }
    assert fits[True] > fits[False] + 0.3
    assert "ridge+rank" in report.sentence()


def test_a_map_is_refined_through_the_teachers_head():
    translations, english, target, texts = noisy_languages()
    head = torch.nn.Linear(16, 4, bias=False)
    _, report = choose_map(translations, english, target, head, texts)
    assert report.best("ridge+rank").fit > report.best("ridge").fit
    assert head.weight.requires_grad and head.weight.grad is None


def test_a_refined_map_keeps_what_the_index_taught():
    translations, english, target, texts = noisy_languages()
    few = [reading.select(range(40)) for reading in (translations, english, target)]
    documents = english.pooled[40:], torch.nn.functional.normalize(target.pooled[40:], dim=-1)
    _, report = choose_map(*few, lambda y: y, texts[:40], index=documents)
    assert report.chosen.index > 0
    assert report.best("ridge+rank").fit > report.best("ridge").fit


def test_too_few_sentences_to_rank_leave_the_map_as_it_is():
    start = LinearMap(torch.eye(4).double(), torch.zeros(4).double())
    assert ranked_maps(start, torch.randn(7, 4), torch.randn(7, 4), lambda y: y) == {}
    assert ranked_maps(start, torch.randn(40, 4), torch.ones(40, 4), lambda y: y) == {}  # all targets are one
    assert list(ranked_maps(start, torch.randn(8, 4), torch.randn(8, 4), lambda y: y, steps=(2, 3))) == [2, 3]


def test_the_same_seed_refines_to_the_same_map():
    translations, _, target, _ = noisy_languages(60)
    start = LinearMap(torch.eye(16).double(), torch.zeros(16).double())
    one, again, other = (
        ranked_maps(start, translations.pooled, target.pooled, lambda y: y, steps=(3,), seed=seed)[3]
        for seed in (0, 0, 1)
    )
    assert torch.equal(one.weight, again.weight) and torch.equal(one.bias, again.bias)
    assert not torch.equal(one.weight, other.weight)


def test_a_refined_map_is_the_better_one_in_the_student_too_behind_a_head_that_bends():
    """The student's tokens have the teacher's length, and behind tanh and a bias the length of a vector counts."""
    translations, english, target, texts = noisy_languages(900)
    torch.manual_seed(4)
    linear = torch.nn.Linear(16, 12)
    head = torch.nn.Sequential(linear, torch.nn.Tanh())
    longer = Reading(3 * target.pooled, [])
    parts = [reading.select(range(400)) for reading in (translations, english, longer)]
    length = float(parts[2].pooled.norm(dim=1).mean())
    with torch.no_grad():
        goal = torch.nn.functional.normalize(head(longer.pooled), dim=-1)
        fits = {}
        for refine in (False, True):
            found, report = choose_map(*parts, head, texts[:400], refine=refine)
            mapped = head(length * found(translations.pooled[400:]).float())
            fits[refine], _ = score_of_own(torch.nn.functional.normalize(mapped, dim=-1), goal, torch.arange(400, 900))
    assert report.chosen.kind.endswith("+rank")
    assert fits[True] > fits[False] + 0.1


def test_documents_have_the_share_in_the_refinement_that_the_fit_gave_them():
    translations, english, target, _ = noisy_languages(60)
    closed = MapScore("ridge", 0.01, "own", 0.25, 0.0, -1.0, 0.5)
    index = torch.randn(500, 16), torch.randn(500, 16)
    sources, targets, shares = map_choice._ranked((translations.pooled, english.pooled), target.pooled, index, closed)
    assert len(sources) == len(targets) == len(shares) == 620
    assert float(shares[120:].sum()) == pytest.approx(0.25)
    assert float(shares.sum()) == pytest.approx(1)
    assert torch.allclose(sources[60:120].mean(0), translations.pooled.mean(0), atol=1e-5)


def test_pairs_of_another_kind_of_text_than_the_index_do_not_choose_against_it(monkeypatch):
    """Pairs and documents lie on different axes and disagree a little where they meet, as phrases and articles do."""
    torch.manual_seed(6)
    truth, other = (torch.linalg.qr(torch.randn(16, 16))[0] for _ in range(2))
    pairs, documents = torch.randn(400, 16), torch.randn(600, 16)
    pairs[:, 8:] *= 0.05
    documents[:, :8] *= 0.5
    texts = [str(number) for number in range(400)]
    reading, target = Reading(pairs + 0.3 * torch.randn(400, 16), []), Reading(pairs @ truth.T, [])
    mixed = torch.cat([documents[:, :8] @ other.T[:8], documents[:, 8:] @ truth.T[8:]], dim=1)
    vectors = torch.nn.functional.normalize(mixed[:, :16] * 0.3 + documents @ truth.T, dim=-1)
    refined: list[int] = []
    refine = map_choice.ranked_maps
    monkeypatch.setattr(map_choice, "ranked_maps", lambda *a, **o: (refined.append(len(a[1])), refine(*a, **o))[1])
    _, report = choose_map(reading, reading, target, lambda y: y, texts, index=(documents, vectors))
    # a quarter of the pairs and a fifth of the documents are held out until the map is chosen
    assert refined[:1] == [2 * 300 + 480] and refined[1:] in ([], [2 * 400 + 600])
    closed = [score for score in report.scores if score.kind == "ridge"]
    alone = max((score for score in closed if score.index == 0), key=lambda score: score.fit)
    assert report.chosen.index > 0
    assert report.chosen.documents > alone.documents + 0.1
    # Pairs alone would not have taken the index: without it their own sentences are found as well or better.
    assert alone.ndcg >= max(score.ndcg for score in closed if score.index == report.chosen.index)


def test_documents_that_choose_a_map_are_not_fitted_until_it_is_chosen():
    """Vectors that say nothing of their texts can be fitted, but not foretold: a map must not be praised for them."""
    torch.manual_seed(7)
    pairs, texts = torch.randn(200, 64), [str(number) for number in range(200)]
    reading, target = Reading(pairs, []), Reading(pairs @ torch.linalg.qr(torch.randn(64, 64))[0], [])
    index = torch.randn(60, 64), torch.nn.functional.normalize(torch.randn(60, 64), dim=-1)
    _, report = choose_map(reading, reading, target, lambda y: y, texts, index=index)
    assert {score.steps for score in report.scores} == {0, 50, 100, 150}
    assert all(score.documents < 0.5 for score in report.scores)  # fitted on, the half of them would be found
    copies = torch.cat([index[0], index[0]]), torch.cat([index[1], index[1]])
    _, report = choose_map(reading, reading, target, lambda y: y, texts, index=copies)
    assert all(score.documents < 0.5 for score in report.scores)
    few = index[0][:49], index[1][:49]
    _, report = choose_map(reading, reading, target, lambda y: y, texts, index=few)
    assert report.chosen.documents is None and report.index_rows == 49
    few_twice = torch.cat([few[0], few[0]]), torch.cat([few[1], few[1]])  # 98 rows, and no more different ones
    _, report = choose_map(reading, reading, target, lambda y: y, texts, index=few_twice)
    assert report.chosen.documents is None and report.index_rows == 98


def test_documents_do_not_choose_against_an_offset_of_the_language():
    """The map of an offset of the translations' own is for translations; an English document is moved to them."""
    torch.manual_seed(0)
    truth = torch.linalg.qr(torch.randn(16, 16))[0]
    rows, documents = torch.randn(400, 16), torch.randn(400, 16)
    offset = 3 * torch.nn.functional.normalize(torch.randn(16), dim=-1)
    english, foreign = Reading(rows + 0.2 * torch.randn(400, 16), []), Reading(rows + offset, [])
    texts = [str(number) for number in range(400)]
    index = documents, torch.nn.functional.normalize(documents @ truth.T, dim=-1)
    for given in (None, index):
        _, report = choose_map(
            foreign, english, Reading(rows @ truth.T, []), lambda y: y, texts, index=given, refine=False
        )
        assert report.chosen.offset == "own"
    assert report.chosen.documents > 0.9
