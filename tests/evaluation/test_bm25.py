from __future__ import annotations

import math

import pytest

from hf_optical.data.retrieval import RetrievalSet
from hf_optical.errors import InputError
from hf_optical.evaluation.bm25 import evaluate_bm25, four_grams, words
from hf_optical.evaluation.scoring import score_run

CORPUS = {
    "d1": "Nairobi is the capital of Kenya",
    "d2": "Kenya, Kenya and Tanzania share a border",
    "d3": "Dar es Salaam lies in Tanzania",
    "d4": "The Nile flows north",
}
QUERIES = {"q1": "Mji mkuu wa Kenya ni Nairobi", "q2": "Tanzania iko wapi?", "q3": "hakuna neno"}
QRELS = {"q1": {"d1": 1}, "q2": {"d3": 1}, "q3": {"d4": 1}}


def retrieval_set(queries=QUERIES, corpus=CORPUS):
    return RetrievalSet("toy", "swh_Latn", "eng_Latn", queries, corpus, QRELS, None)


def slow_bm25(query, k1, b):
    """Lucene's formula, a word at a time."""
    documents = {name: words(text) for name, text in CORPUS.items()}
    mean = sum(map(len, documents.values())) / len(documents)
    scores = {}
    for name, document in documents.items():
        score = 0.0
        for word in words(query):
            holding = sum(word in other for other in documents.values())
            if holding:
                frequency = document.count(word)
                idf = math.log(1 + (len(documents) - holding + 0.5) / (holding + 0.5))
                score += idf * frequency / (frequency + k1 * (1 - b + b * len(document) / mean))
        if score > 0:
            scores[name] = score
    return scores


def test_scores_are_lucenes_formula():
    for k1, b in ((1.2, 0.75), (0.5, 0.2)):
        run = {query: slow_bm25(text, k1, b) for query, text in QUERIES.items()}
        expected = score_run(run, QRELS)
        found = evaluate_bm25(retrieval_set(), k1=k1, b=b).per_query
        assert all(found[query] == pytest.approx(expected[query]) for query in QUERIES)
    assert expected["q1"]["mrr"] == 1.0


def test_the_ranking_is_that_of_the_slow_formula(monkeypatch):
    ranked = {}

    def spy(run, qrels):
        ranked.update(run)
        return score_run(run, qrels)

    monkeypatch.setattr("hf_optical.evaluation.retrieval.score_run", spy)
    evaluate_bm25(retrieval_set(), k1=0.9, b=0.4)
    for query, text in QUERIES.items():
        assert ranked[query] == pytest.approx(slow_bm25(text, 0.9, 0.4), rel=1e-5), query


def test_documents_without_a_common_word_are_not_retrieved():
    # With all scores zero, the ties would be broken by document id and the last document found for free.
    assert evaluate_bm25(retrieval_set()).per_query["q3"]["recall@100"] == 0


def test_words_keep_marks_and_digits_together():
    assert words("हिन्दी में 2024’s") == ["हिन्दी", "में", "2024", "s"]
    assert words("ＦＵＬＬ Straße") == ["full", "strasse"]
    assert four_grams("Nairobini mto") == ["nair", "airo", "irob", "robi", "obin", "bini", "mto"]


def test_four_grams_find_inflected_names():
    inflected = {**QUERIES, "q1": "mji wa Nairobini"}
    scores = {name: evaluate_bm25(retrieval_set(inflected), tokenisation=name).per_query["q1"]["mrr"] for name in
              ("words", "4-grams")}  # fmt: skip
    assert scores == {"words": 0.0, "4-grams": 1.0}


def test_what_cannot_be_is_refused():
    with pytest.raises(InputError, match="use one of words, 4-grams"):
        evaluate_bm25(retrieval_set(), tokenisation="letters")
    with pytest.raises(InputError, match="no document of toy has a word"):
        evaluate_bm25(retrieval_set(corpus=dict.fromkeys(CORPUS, "…")))
