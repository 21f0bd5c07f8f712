from __future__ import annotations

import math

import pytest
import tiny_models
import torch
from datasets import Dataset
from sentence_transformers import (
    MultiVectorEncoderTrainer,
    MultiVectorEncoderTrainingArguments,
    SentenceTransformerTrainer,
    SentenceTransformerTrainingArguments,
)
from sentence_transformers.base.trainer import BaseTrainer
from torch.nn import functional
from torchrun import TESTS, ranks_of, torchrun

from hf_optical import MultiVectorOTDistillationTrainer, OTDistillationTrainer, OTDistillationTrainingArguments
from hf_optical.batching.collation import OTDistillationDataCollator
from hf_optical.encoders.word_vectors import read_words, tokens_outside_words
from hf_optical.errors import InputError, NonFiniteError
from hf_optical.losses import LexicalInjectionLoss
from hf_optical.losses.false_negatives import false_negatives, translation_sets
from hf_optical.losses.word_contrast import hardest_triplet, info_nce

ENGLISH, SWAHILI = tiny_models.ENGLISH[:8], tiny_models.SWAHILI[:8]
PAIRS = list(zip(ENGLISH, SWAHILI, strict=True))
NAME = "lexicon/eng_Latn-swh_Latn"


def rows_of(pairs):
    return Dataset.from_dict({"source": [one for one, _ in pairs], "translation": [two for _, two in pairs]})


@pytest.fixture
def student(tmp_path):
    return tiny_models.dense(tmp_path, [*tiny_models.SWAHILI, *tiny_models.ENGLISH], layers=3, seed=1)


@pytest.fixture
def teacher(tmp_path):
    return tiny_models.dense(tmp_path, tiny_models.ENGLISH, layers=3)


def features_of(student, pairs, teacher=None, mirror=False):
    if teacher is None:
        return [student.preprocess(list(side)) for side in zip(*pairs, strict=True)]
    batch = OTDistillationDataCollator.for_models(student, teacher, mirror=mirror)(
        [dict(row) for row in rows_of(pairs)]
    )
    return BaseTrainer.collect_features(None, batch)[0]


def word_vector(model, word, layer):
    """The definition, one word alone: the mean of the hidden states between [CLS] and [SEP]."""
    tokenizer, body = model.tokenizer, model[0].model
    ids = tokenizer(word, return_tensors="pt")
    hidden = body(**ids, output_hidden_states=True).hidden_states[layer][0]
    return hidden[1:-1].mean(0)


def test_a_words_vector_is_the_mean_of_its_own_tokens_at_the_layer(student):
    words = ["mbuzi", "mbuzi mkubwa analala", "mtoto anaona"]
    read = read_words(
        student.eval(), student.preprocess(words), tokens_outside_words(student), [0, 2], late_interaction=False
    )
    for place, layer in enumerate((0, 2)):
        expected = torch.stack([word_vector(student, word, layer) for word in words])
        torch.testing.assert_close(read.layers[place], expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(read.output, torch.tensor(student.encode(words)), atol=1e-6, rtol=0)
    assert student[0].model.config.output_hidden_states is False


def test_a_prompt_is_no_part_of_the_word(student):
    outside = tokens_outside_words(student)
    bare, prompted = (
        read_words(
            student, student.preprocess(["mbuzi", "mtoto anaona"], prompt=prompt), outside, [0], late_interaction=False
        )
        for prompt in (None, "the child ")
    )
    assert bare.keys.tolist() == prompted.keys.tolist()
    # Positions differ by the prompt's length, and nothing else at the embedding layer before its norm.
    assert not torch.allclose(bare.layers[0], prompted.layers[0])
    with_first = read_words(
        student, student.preprocess(["mbuzi"]), outside, [1], late_interaction=False, special_tokens="first"
    )
    hidden = student[0].model(**student.tokenizer("mbuzi", return_tensors="pt"), output_hidden_states=True)
    torch.testing.assert_close(with_first.layers[0][0], hidden.hidden_states[1][0, 0], atol=1e-6, rtol=0)


@pytest.mark.parametrize("objective", ["triplet", "nce"])
@pytest.mark.parametrize("anchored", [False, True], ids=["student reads both", "teacher reads English"])
def test_the_terms_equal_a_loop_over_words_and_directions(student, teacher, objective, anchored):
    loss = LexicalInjectionLoss(
        student.eval(),
        teacher if anchored else None,
        objective=objective,
        layer=2,
        output_weight=0.5,
        margin=0.3,
        temperature=0.1,
    )
    terms = loss(features_of(student, PAIRS, teacher if anchored else None))
    reader = teacher if anchored else student
    sides = {
        "word_layer2": (
            [word_vector(reader, one, 2) for one, _ in PAIRS],
            [word_vector(student, two, 2) for _, two in PAIRS],
        ),
        "word_output": (torch.tensor(reader.encode(ENGLISH)), torch.tensor(student.encode(SWAHILI))),
    }
    for name, (english, swahili) in sides.items():
        total = 0.0
        for queries, candidates in ((english, swahili), (swahili, english)):
            for i, query in enumerate(queries):
                cosines = [float(functional.cosine_similarity(query, other, dim=0)) for other in candidates]
                if objective == "triplet":
                    hardest = max(value for j, value in enumerate(cosines) if j != i)
                    total += max(0.0, 0.3 - cosines[i] + hardest)
                else:
                    total -= cosines[i] / 0.1 - math.log(sum(math.exp(value / 0.1) for value in cosines))
        weight = 0.5 if name == "word_output" else 1.0
        assert terms[name].item() == pytest.approx(weight * total / (2 * len(PAIRS)), abs=2e-5)


def test_negatives_that_are_masked_count_for_nothing():
    similarity = torch.tensor([[0.2, 0.9, 0.1], [0.5, 0.6, 0.7]], requires_grad=True)
    target, negative = torch.tensor([0, 1]), torch.tensor([[False, False, True], [False, False, False]])
    triplet = hardest_triplet(similarity, target, negative, 0.4)
    assert triplet.item() == pytest.approx(0.4 - 0.2 + 0.1)  # the second word has no negative and is left out
    nce = info_nce(similarity, target, negative, 1.0)
    assert nce.item() == pytest.approx(math.log(math.exp(0.2) + math.exp(0.1)) / 2 - 0.2 / 2, abs=1e-6)
    (triplet + nce).backward()
    assert torch.isfinite(similarity.grad).all()
    assert similarity.grad[0, 1] == 0 and similarity.grad[1].abs().sum() == 0


def test_false_negatives_by_word_and_by_translation_set():
    sources = ["car", "vehicle", "car", "goat", "automobile"]
    translations = ["motokaa", "chombo", "gari", "mbuzi", "otomobili"]
    here = false_negatives(sources, translations)
    assert here[0, 2] and not here[0, 1] and here.diagonal().all() and torch.equal(here, here.T)
    known = translation_sets([("car", "gari"), ("vehicle", "gari"), ("automobile", "motokaa")])
    more = false_negatives(sources, translations, known)
    assert more[0, 1]  # car and vehicle are both gari
    assert more[0, 4]  # motokaa is an automobile, says the lexicon
    assert not more[3, :3].any() and not more[1, 4]
    assert (more | here).equal(more)


def test_the_lexicon_masks_false_negatives_that_the_batch_does_not_show(student):
    # "goat" is analala too, says the lexicon, so analala's pair is no negative of goat's.
    batch = [("goat", "mbuzi"), ("sleeps", "analala"), ("dog", "mbwa")]
    options = {"layer": 1, "output_weight": 0.0, "objective": "nce"}
    features = features_of(student, batch)
    plain = LexicalInjectionLoss(student.eval(), **options)
    known = LexicalInjectionLoss(student, lexicon=[*batch, ("Goat ", "Analala")], **options)
    read = [read_words(student, one, tokens_outside_words(student), [1], late_interaction=False) for one in features]
    mask = known._false_negatives(read[0].keys, read[1].keys)
    assert mask.int().tolist() == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    assert plain._false_negatives(read[0].keys, read[1].keys).int().tolist() == torch.eye(3).int().tolist()
    assert known(features)["word_layer1"] < plain(features)["word_layer1"]


def test_the_same_word_twice_in_a_batch_is_no_negative(student):
    loss = LexicalInjectionLoss(student.eval(), layer=1, output_weight=0.0)
    twice = loss(features_of(student, [*PAIRS[:4], PAIRS[0]]))["word_layer1"]
    once = [loss(features_of(student, PAIRS[:4]))["word_layer1"]]
    # A copy of a row adds its own loss once more, and changes no one else's.
    read = [
        read_words(student, one, tokens_outside_words(student), [1], late_interaction=False)
        for one in features_of(student, PAIRS[:4])
    ]
    english, swahili = (functional.normalize(one.layers[0], dim=1) for one in read)
    similarity = english @ swahili.T
    first = (
        sum(
            hardest_triplet(one[:1], torch.tensor([0]), torch.tensor([[False, True, True, True]]), 0.4)
            for one in (similarity, similarity.T)
        )
        / 2
    )
    assert twice.item() == pytest.approx((4 * once[0].item() + first.item()) / 5, abs=1e-6)


def test_gradients_reach_the_layers_below_only(student):
    loss = LexicalInjectionLoss(student, layer=1, output_weight=0.0)
    sum(loss(features_of(student, PAIRS)).values()).backward()
    layers = student[0].model.encoder.layer
    assert layers[0].attention.self.query.weight.grad.abs().sum() > 0
    assert all(p.grad is None for layer in layers[1:] for p in layer.parameters())


def test_losses_are_float32_under_autocast(student):
    loss = LexicalInjectionLoss(student, layer=2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = loss(features_of(student, PAIRS))
    assert all(value.dtype == torch.float32 for value in terms.values())


def test_an_english_word_tokenised_for_the_wrong_model_is_refused(student, teacher):
    with pytest.raises(InputError, match="OTDistillationDataCollator"):
        LexicalInjectionLoss(student, teacher, layer=1)(features_of(student, PAIRS))
    with pytest.raises(InputError, match="mirror=True"):
        LexicalInjectionLoss(student, layer=1)(features_of(student, PAIRS, teacher))
    mirrored = LexicalInjectionLoss(student.eval(), layer=1)(features_of(student, PAIRS, teacher, mirror=True))
    plain = LexicalInjectionLoss(student, layer=1)(features_of(student, PAIRS))
    assert mirrored["word_layer1"].item() == pytest.approx(plain["word_layer1"].item(), abs=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer": 4}, r"from 0 \(embeddings\) to 3"),
        ({"layer": -1}, "layer"),
        ({"objective": "mse"}, "triplet, nce"),
        ({"layer": None, "output_weight": 0}, "output_weight"),
        ({"output_weight": -1.0}, "output_weight"),
        ({"margin": 0}, "positive"),
    ],
)
def test_bad_options_are_refused(student, options, message):
    with pytest.raises(InputError, match=message):
        LexicalInjectionLoss(student, **options)


def test_a_teacher_of_another_body_serves_the_output_only(student, tmp_path):
    other = tiny_models.dense(tmp_path, tiny_models.ENGLISH, layers=2, seed=5)
    with pytest.raises(InputError, match="layers differ"):
        LexicalInjectionLoss(student, other, layer=1)
    terms = LexicalInjectionLoss(student, other, layer=None)(features_of(student, PAIRS, other))
    assert list(terms) == ["word_output"]


def test_vectors_that_are_not_finite_stop_the_training(student):
    student[0].model.embeddings.word_embeddings.weight.data[:] = float("nan")
    with pytest.raises(NonFiniteError):
        LexicalInjectionLoss(student, layer=1)(features_of(student, PAIRS))


def settings(kind, folder, **options):
    return kind(
        output_dir=str(folder),
        max_steps=25,
        per_device_train_batch_size=4,
        learning_rate=1e-2,
        report_to="none",
        save_strategy="no",
        use_cpu=True,
        disable_tqdm=True,
        logging_steps=5,
        **options,
    )


def test_the_hosts_own_trainers_train_it(student, tmp_path):
    late = tiny_models.late(tmp_path, [*tiny_models.SWAHILI, *tiny_models.ENGLISH], seed=1)
    for model, trainer, args in (
        (student, SentenceTransformerTrainer, SentenceTransformerTrainingArguments),
        (late, MultiVectorEncoderTrainer, MultiVectorEncoderTrainingArguments),
    ):
        one = trainer(
            model=model,
            args=settings(args, tmp_path / "out"),
            train_dataset=rows_of(PAIRS),
            loss=LexicalInjectionLoss(model, layer=1, lexicon=PAIRS),
        )
        one.train()
        logs = [entry for entry in one.state.log_history if "word_layer1" in entry]
        assert logs[-1]["word_layer1"] < logs[0]["word_layer1"] and "word_output" in logs[0]


def test_the_lexicon_kind_trains_beside_bitext(student, teacher, tmp_path):
    trainer = OTDistillationTrainer(
        model=student,
        teacher=teacher,
        args=settings(
            OTDistillationTrainingArguments,
            tmp_path / "out",
            gather_across_devices=False,
            lexical_layer=1,
            lexical_objective="nce",
            lexical_output_weight=0.5,
        ),
        train_dataset={NAME: rows_of(PAIRS), "bitext/eng_Latn-swh_Latn": tiny_models.bitext(8)},
    )
    loss = trainer.loss[NAME]
    assert (loss.layer, loss.objective, loss.output_weight, loss.teacher) == (1, "nce", 0.5, teacher)
    trainer.train()
    named = {name for entry in trainer.state.log_history for name in entry}
    assert {"word_layer1", "word_output", "ot"} <= named


def test_a_student_of_another_body_reads_both_sides(student, tmp_path):
    other = tiny_models.dense(tmp_path, tiny_models.ENGLISH, layers=2, seed=5)
    trainer = OTDistillationTrainer(
        model=student,
        teacher=other,
        args=settings(OTDistillationTrainingArguments, tmp_path / "out", gather_across_devices=False),
        train_dataset={NAME: rows_of(PAIRS)},
    )
    assert trainer.loss[NAME].teacher is None and trainer.data_collator.mirror
    trainer.train()


def test_the_multi_vector_twin_has_it_too(tmp_path):
    student = tiny_models.late(tmp_path, tiny_models.SWAHILI, seed=1)
    trainer = MultiVectorOTDistillationTrainer(
        model=student,
        teacher=tiny_models.late(tmp_path, tiny_models.ENGLISH),
        args=settings(OTDistillationTrainingArguments, tmp_path / "out", gather_across_devices=False, lexical_layer=1),
        train_dataset={NAME: rows_of(PAIRS)},
    )
    trainer.train()
    logs = [entry["word_output"] for entry in trainer.state.log_history if "word_output" in entry]
    assert logs[-1] < logs[0]


def test_the_arguments_refuse_what_is_no_option(tmp_path):
    for options in ({"lexical_objective": "mse"}, {"lexical_margin": 0.0}):
        with pytest.raises(InputError, match=next(iter(options))):
            OTDistillationTrainingArguments(output_dir=str(tmp_path), use_cpu=True, **options)


@pytest.mark.slow
@pytest.mark.parametrize("output_weight", [0.0, 1.0], ids=["layer only", "layer and output"])
def test_two_processes_train_like_one_with_the_same_batch(tmp_path, output_weight):
    found = {}
    for processes in (1, 2):
        folder = tmp_path / str(processes)
        torchrun(TESTS / "lexical_distributed.py", folder, output_weight, processes=processes)
        found[processes] = ranks_of(folder, processes)
    start = torch.load(tmp_path / "1" / "start.pt", weights_only=True)
    for name, value in found[2][0].items():
        assert torch.equal(value, found[2][1][name]), f"the ranks disagree on {name}"
        torch.testing.assert_close(value, found[1][0][name], atol=1e-5, rtol=0, msg=name)
    assert any((start[name] - value).abs().max() > 1e-3 for name, value in found[2][0].items()), "nothing was trained"
