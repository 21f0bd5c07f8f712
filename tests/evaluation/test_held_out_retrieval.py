"""The index of held-out pairs, and scores in it."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_models
from datasets import Dataset

from hf_optical.data.held_out import split_bitext
from hf_optical.evaluation.held_out import PASSAGES, SENTENCES, HeldOutRetrieval, held_out_sets
from hf_optical.evaluation.retrieval import evaluate_retrieval


@pytest.fixture
def split():
    rows = tiny_models.bitext(400)
    texts = {text: row for row, text in enumerate(rows["source"])}
    return split_bitext(rows.select(sorted(texts.values())), seed=0)


def test_every_query_has_its_english_and_the_passage_that_holds_it(split):
    sentences, passages = held_out_sets(split.held_out, split.train, "swh_Latn")
    assert (sentences.name, passages.name) == (SENTENCES, PASSAGES)
    for item in (sentences, passages):
        assert len(item.queries) == len(item.qrels) == len(item.english_queries) == len(split.held_out)
        for query, judged in item.qrels.items():
            (document,) = judged
            assert item.english_queries[query] in item.corpus[document]
        assert len(set(item.corpus.values())) == len(item.corpus)
    trained = set(split.train["source"])
    assert trained & set(sentences.corpus.values()), "there must be others to confuse it with"
    assert len(passages.corpus) > len(split.held_out) / 4


def test_equal_english_is_one_document():
    rows = Dataset.from_dict({"source": ["the goat", "the goat", "a dog"], "translation": ["x", "y", "z"]})
    sentences, passages = held_out_sets(rows, tiny_models.bitext(8), "swh_Latn")
    assert sentences.qrels["q0"] == sentences.qrels["q1"] != sentences.qrels["q2"]
    assert passages.qrels["q0"] == {"p0": 1}


@pytest.mark.parametrize("late", [False, True], ids=["dense", "late-interaction"])
def test_the_score_is_the_mean_of_what_an_evaluation_finds(tmp_path, split, late):
    make = tiny_models.late if late else tiny_models.dense
    words = [*tiny_models.ENGLISH, *tiny_models.SWAHILI]
    teacher, student = make(tmp_path, words), make(tmp_path, words, seed=1)
    sets = held_out_sets(split.held_out, split.train, "swh_Latn")
    index = HeldOutRetrieval(sets, teacher)
    found = index.score(student)
    expected = [evaluate_retrieval(student, item, teacher, top_k=100).metrics["ndcg@10"] for item in sets]
    assert found.value == pytest.approx(np.mean(expected)) and list(found.parts.values()) == pytest.approx(expected)
    assert index.score(teacher).value != found.value
    english = index.scores(teacher, queries="english")
    assert english[0].metrics["recall@1"] > 0.9
