"""The embedded default: its sentences, its splits, its files, its alignments."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_optical.commands.sample import generate, write
from hf_optical.commands.sample import prepare as prepare_sample
from hf_optical.commands.sample.alignment import (
    alignment_error_rate,
    argmax_links,
    measure_alignment,
    random_plan,
    word_of_tokens,
    word_plan,
)
from hf_optical.commands.sample.facts import Fact, Question, draw_event, draw_question
from hf_optical.commands.sample.grammar import GRAMMARS, LANGUAGES, align, say, text
from hf_optical.commands.sample.languages.swahili import agree
from hf_optical.commands.sample.lexicon import Numeral, lexicon, read_table
from hf_optical.commands.sample.prepare import SETTINGS, Prepared
from hf_optical.commands.sample.teacher import build_teacher, english_tokenizer
from hf_optical.data.bitext import read_bitext
from hf_optical.data.retrieval import read_retrieval_set
from hf_optical.errors import InputError
from hf_optical.transport import IPOT


@pytest.fixture(scope="module")
def small():
    return generate(3, n_bitext=300, n_passages=40, n_queries=30, n_retrieval=200, n_held_out=20)


def find(table, english):
    return next(each for each in table if each.english == english)


@pytest.fixture
def fact():
    words = lexicon()
    return Fact(
        subject=find(words.persons, "girl"),
        subject_quality=find(words.adjectives, "tall"),
        verb=find(words.verbs, "buy"),
        object=find(words.objects, "book"),
        number=find(words.numerals, "three"),
        object_quality=find(words.adjectives, "big"),
        place=find(words.places, "market"),
        time=find(words.times, "week"),
    )


@pytest.mark.parametrize(
    ("language", "said", "asked"),
    [
        (
            "eng_Latn",
            "The tall girl bought three big books at the market last week.",
            "What did the tall girl buy at the market last week?",
        ),
        (
            "swh_Latn",
            "Msichana mrefu alinunua vitabu vikubwa vitatu sokoni wiki iliyopita.",
            "Msichana mrefu alinunua nini sokoni wiki iliyopita?",
        ),
        (
            "som_Latn",
            "Gabadha dheer ayaa toddobaadkii hore saddex buug oo weyn suuqa ku iibsatay.",
            "Gabadha dheeri maxay toddobaadkii hore suuqa ku iibsatay?",
        ),
        (
            "tgl_Latn",
            "Bumili ang matangkad na dalagita ng tatlong malaking aklat sa palengke noong nakaraang linggo.",
            "Ano ang binili ng matangkad na dalagita sa palengke noong nakaraang linggo?",
        ),
        (
            "mar_Deva",
            "उंच मुलीने गेल्या आठवड्यात बाजारात तीन मोठी पुस्तके विकत घेतली.",
            "उंच मुलीने गेल्या आठवड्यात बाजारात काय विकत घेतले?",
        ),
    ],
)
def test_every_language_says_and_asks_in_its_own_grammar(fact, language, said, asked):
    assert text(say(fact, language)) == said
    assert text(say(Question(fact, "object"), language)) == asked


def test_swahili_adjectives_agree_with_the_noun_class():
    forms = [agree("-eusi", "nyeusi", noun_class) for noun_class in ("1", "2", "5", "6", "7", "8", "9", "11")]
    assert forms == ["mweusi", "weusi", "jeusi", "meusi", "cheusi", "vyeusi", "nyeusi", "mweusi"]
    assert agree("-pya", "mpya", "5") == "jipya"
    assert agree("-pya", "mpya", "8") == "vipya"


@pytest.mark.parametrize("language", LANGUAGES)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_gold_links_every_content_word_and_stays_inside(language, seed):
    random = Random(seed)
    event = draw_event(random, lexicon())
    content = draw_question(random, event) if seed % 2 else event
    source, translation = say(content, "eng_Latn"), say(content, language)
    links = align(source, translation)
    assert all(0 <= i < len(text(source).split()) and 0 <= j < len(text(translation).split()) for i, j in links)
    linked = {source[i].role for i, _ in links}
    wanted = {"subject", "verb", "object", "object.number", "object.quality", "place", "time", "asked"}
    assert {word.role for word in source} & wanted <= linked


def test_gold_alignment_of_a_known_pair(fact):
    source, translation = say(fact, "eng_Latn"), say(fact, "swh_Latn")
    words, others = text(source).split(), text(translation).split()
    links = {(words[i], others[j]) for i, j in align(source, translation)}
    assert links == {
        ("girl", "Msichana"),
        ("tall", "mrefu"),
        ("bought", "alinunua"),
        ("books", "vitabu"),
        ("big", "vikubwa"),
        ("three", "vitatu"),
        ("market", "sokoni"),
        ("last", "iliyopita."),
        ("week.", "wiki"),
    }


def test_a_question_is_answered_by_its_fact_only_if_the_fact_fits(fact):
    question = Question(fact, "place")
    other = Fact(**{**vars(fact), "number": find(lexicon().numerals, "four")})
    elsewhere = Fact(**{**vars(fact), "place": find(lexicon().places, "river")})
    nowhere = Fact(**{**vars(fact), "place": None})
    assert [question.answered_by(each) for each in (fact, elsewhere, other, nowhere)] == [True, True, False, False]


def test_the_same_seed_gives_the_same_sample_and_another_seed_another():
    small = {"n_bitext": 10, "n_passages": 5, "n_queries": 3, "n_retrieval": 5, "n_held_out": 2}
    assert generate(1, **small) == generate(1, **small)
    assert generate(1, **small).bitext != generate(2, **small).bitext


def test_no_split_shares_a_sentence(small):
    training = {pair["source"] for pairs in small.bitext.values() for pair in pairs}
    assert len(training) == 300 * len(LANGUAGES)
    for pairs in small.held_out.values():
        assert training.isdisjoint(pair["source"] for pair in pairs)
    learnt = training | {query for query, _ in small.retrieval}
    assert learnt.isdisjoint(small.queries["eng_Latn"].values())
    passages = set(small.corpus.values())
    assert passages.isdisjoint(passage for _, passage in small.retrieval)
    assert not any(sentence in passage for passage in passages for sentence in training)


def test_bitext_holds_questions_too(small):
    share = sum(pair["source"].endswith("?") for pair in small.bitext["swh_Latn"]) / 300
    assert 0.15 < share < 0.5


def test_the_folder_reads_as_bitext_and_retrieval_set(small, tmp_path):
    write(small, tmp_path)
    rows = read_bitext(str(tmp_path / "bitext.mar_Deva.jsonl"))
    assert len(rows) == 300
    assert rows[0]["source"] == small.bitext["mar_Deva"][0]["source"]
    found = read_retrieval_set(tmp_path / "eval", "mar_Deva")
    assert found.queries == small.queries["mar_Deva"]
    assert found.english_queries == small.queries["eng_Latn"]
    assert found.corpus == small.corpus
    assert {query: set(docs) for query, docs in found.qrels.items()} == {q: set(d) for q, d in small.qrels.items()}
    row = json.loads((tmp_path / "alignments.som_Latn.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert set(row) == {"source", "translation", "alignment"}


def test_impossible_requests_say_what_to_do():
    with pytest.raises(InputError, match="no grammar for 'yor_Latn'"):
        generate(languages=["yor_Latn"])
    with pytest.raises(InputError, match="more passages"):
        generate(n_passages=1, n_queries=500, n_bitext=1, n_retrieval=1, n_held_out=1)


@pytest.mark.parametrize(
    ("rows", "problem"), [("english\tswahili\n", "columns"), (None, "row 2, field 'marathi'.*empty")]
)
def test_a_broken_table_is_named(tmp_path, rows, problem):
    path = tmp_path / "numerals.tsv"
    header = "\t".join(Numeral.__dataclass_fields__)
    path.write_text(rows or f"{header}\ntwo\t-wili\tmbili\tlaba\tdalawa\t\n", encoding="utf-8")
    with pytest.raises(InputError, match=problem):
        read_table(path, Numeral)


def test_alignment_error_rate():
    gold = {(0, 0), (1, 1), (2, 2)}
    assert alignment_error_rate(gold, gold) == 0
    assert alignment_error_rate(set(), gold) == 1
    assert alignment_error_rate({(0, 0), (1, 2)}, gold) == pytest.approx(1 - 2 / 5)


def test_tokens_find_their_words():
    tokenizer = english_tokenizer(["who saw the goat?"] * 3, vocab_size=30)
    sentence = "Who saw  the goat?"
    words = word_of_tokens(tokenizer, sentence)
    pieces = tokenizer.convert_ids_to_tokens(tokenizer(sentence, add_special_tokens=False)["input_ids"])
    joined = ["".join(p.removeprefix("##") for p, w in zip(pieces, words, strict=True) if w == n) for n in range(4)]
    assert joined == ["who", "saw", "the", "goat?"]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(1, 6), m=st.integers(1, 6))
def test_word_plans_keep_the_mass_and_random_plans_the_marginals(seed, n, m):
    generator = torch.Generator().manual_seed(seed)
    a, b = torch.rand(n, generator=generator) + 0.1, torch.rand(m, generator=generator) + 0.1
    plan = torch.outer(a / a.sum(), b / b.sum())
    words = word_plan(plan, [k // 2 for k in range(n)], [k // 3 for k in range(m)])
    assert words.shape == ((n + 1) // 2, (m + 2) // 3)
    assert words.sum() == pytest.approx(1, abs=1e-5)
    assert len(argmax_links(words)) == words.shape[0]
    chance = random_plan(plan, IPOT(iterations=400), generator)
    torch.testing.assert_close(chance.sum(0), plan.sum(0), atol=1e-4, rtol=0)
    torch.testing.assert_close(chance.sum(1), plan.sum(1), atol=2e-2, rtol=0)


def test_a_plan_of_another_size_is_refused():
    with pytest.raises(InputError, match="shape"):
        word_plan(torch.ones(2, 3), [0, 1], [0, 1])


def test_the_teacher_learns_saves_and_aligns_english_with_itself(small, tmp_path):
    from sentence_transformers import SentenceTransformer

    teacher = build_teacher(small, tmp_path / "teacher", steps=30, width=32, batch_size=16)
    again = SentenceTransformer(str(tmp_path / "teacher"), device="cpu")
    question, passage = small.retrieval[0]
    torch.testing.assert_close(
        torch.tensor(again.encode([question, passage])), torch.tensor(teacher.encode([question, passage]))
    )
    english = [pair["source"] for pair in small.held_out["swh_Latn"]]
    copies = [
        {"source": each, "translation": each, "alignment": [(i, i) for i in range(len(each.split()))]}
        for each in english
    ]
    scores = measure_alignment(teacher, again, copies, (english, english))
    assert scores["n"] == 20
    assert scores["aer"] < 0.02
    assert scores["aer_uniform"] < 0.02
    assert scores["aer_random"] > 0.5


@dataclass
class Options:
    teacher: str | None = None
    language: str | None = None
    bitext: str | None = None
    eval: list[str] | None = None
    learning_rate: float = 1e-4
    max_steps: int = 1000


def test_options_fill_what_was_left_alone(tmp_path):
    options = Prepared(tmp_path).options(Options(language="mr", max_steps=7))
    assert options["language"] == "mar_Deva"
    assert [Path(file).name for file in options["bitext"]] == ["bitext.mar_Deva.jsonl"]
    assert options["learning_rate"] == SETTINGS["learning_rate"]
    assert "max_steps" not in options
    assert "vocab_size" not in options
    assert Prepared(tmp_path).options(Options())["language"] == "swh_Latn"
    with pytest.raises(InputError, match="no yor_Latn"):
        Prepared(tmp_path).options(Options(language="yor_Latn"))


def test_prepare_makes_a_sample_once(tmp_path, monkeypatch, small):
    # `sample.prepare` the function hides the module of the same name.
    module = sys.modules["hf_optical.commands.sample.prepare"]
    made = []
    monkeypatch.setattr(module, "generate", lambda seed: small)
    monkeypatch.setattr(module, "build_teacher", lambda sample, folder, seed: made.append(folder))
    first, second = prepare_sample(tmp_path, 5), prepare_sample(tmp_path, 5)
    assert first == second
    assert made == [first.teacher]
    assert len(first.held_out("tgl_Latn")) == 20
    assert first.example("tgl_Latn")[0] in {pair["source"] for pair in small.held_out["tgl_Latn"][:20]}
    assert set(GRAMMARS) == {"eng_Latn", *LANGUAGES}
