"""Monolingual, cross-lingual and pooled retrieval, their report, and the metrics of the evaluate library."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from tiny_models import dense

import hf_optical.evaluation
from hf_optical.errors import InputError
from hf_optical.evaluation.bias import rank_distance
from hf_optical.evaluation.multilingual import evaluate_multilingual, score_multilingual
from hf_optical.evaluation.multilingual_set import MultilingualSet, has_sentences, read_multilingual_set
from hf_optical.evaluation.report import multilingual_entries, pair_matrix, scores_table, task_table
from hf_optical.figures.language_pairs import draw_language_pairs
from hf_optical.results.measures import MEASURES

METRICS = Path(hf_optical.evaluation.__file__).parent / "metrics"


@pytest.fixture
def parallel():
    """Two questions and three passages, in two languages."""
    corpus = {"d0": "goat", "d1": "dog", "d2": "river"}
    queries = {"q0": "goat", "q1": "dog"}
    qrels = {"q0": {"d0": 1}, "q1": {"d1": 1}}
    languages = ("eng_Latn", "swh_Latn")
    return MultilingualSet(
        "parallel",
        "passage",
        dict.fromkeys(languages, queries),
        dict.fromkeys(languages, corpus),
        {(a, b): qrels for a in languages for b in languages},
    )


def _write(folder, name, rows):
    (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def folder(tmp_path):
    for tag in ("en", "sw"):
        _write(tmp_path, f"corpus.{tag}.jsonl", [{"id": f"d{i}", "text": f"{tag} passage {i}"} for i in range(3)])
        _write(tmp_path, f"queries.{tag}.jsonl", [{"id": f"q{i}", "text": f"{tag} query {i}"} for i in range(2)])
    (tmp_path / "qrels.all.trec").write_text("q0 0 d0 1\nq1 0 d2 1\n")
    _write(tmp_path, "sentences.en.jsonl", [{"id": f"s{i}", "text": f"sentence {i}"} for i in range(4)])
    (tmp_path / "qrels_sentences.en.trec").write_text("q0 0 s1 1\nq1 0 s3 1\n")
    return tmp_path


def test_scores_of_pairs_and_of_the_pool(parallel):
    # English documents first. English queries find English only; Swahili queries find both, the second one badly.
    scores = {
        "eng_Latn": np.array([[9, 1, 0, 0, 2, 1], [1, 9, 0, 2, 0, 1]], dtype=float),
        "swh_Latn": np.array([[8, 1, 0, 9, 1, 0], [9, 1, 0, 8, 1, 0]], dtype=float),
    }
    found = score_multilingual(parallel, scores, bias_depth=2)
    assert found.pairs["eng_Latn", "eng_Latn"].metrics["map"] == 1.0
    assert found.pairs["eng_Latn", "swh_Latn"].metrics["map"] == pytest.approx(1 / 3)
    assert found.pairs["swh_Latn", "swh_Latn"].per_query["q1"]["mrr"] == 0.5
    # q1 in Swahili: the English d1 and the Swahili d1 are tied behind two others.
    assert found.pooled["swh_Latn"].per_query["q1"]["map"] == pytest.approx((1 / 3 + 2 / 4) / 2)
    summary = found.summary("map")
    assert summary["mono"] == pytest.approx((1.0 + 0.75) / 2)
    assert summary["cross"] == pytest.approx((1 / 3 + 0.75) / 2)
    assert set(found.monolingual) == {"eng_Latn", "swh_Latn"}
    assert set(found.cross_lingual) == {("eng_Latn", "swh_Latn"), ("swh_Latn", "eng_Latn")}
    relevant = np.array([[1, 0, 0, 1, 0, 0], [0, 1, 0, 0, 1, 0]], dtype=bool)
    expected = {language: rank_distance(values, relevant).mean() for language, values in scores.items()}
    assert found.bias.rank_distance_by_language == pytest.approx(expected)
    assert found.bias.rank_distance == pytest.approx(np.mean(list(expected.values())))
    assert found.bias.relevance_share == {"eng_Latn": 0.5, "swh_Latn": 0.5}
    # English queries: one of each language in the first two; so Swahili ones.
    assert found.bias.share_at_k == {"eng_Latn": 0.5, "swh_Latn": 0.5}
    assert found.bias.worst_language == min(found.pooled, key=lambda name: found.pooled[name].metrics["map"])


def test_one_language_has_no_correlation_and_no_cross_lingual_score():
    alone = MultilingualSet(
        "alone",
        "passage",
        {"swh_Latn": {"q0": "a", "q1": "b"}},
        {"swh_Latn": {"d0": "a", "d1": "b"}},
        {("swh_Latn", "swh_Latn"): {"q0": {"d0": 1}, "q1": {"d1": 1}}},
    )
    found = score_multilingual(alone, {"swh_Latn": np.array([[2.0, 1.0], [2.0, 1.0]])})
    assert (found.summary("map")["mono"], found.summary("map")["cross"]) == (0.75, None)
    assert np.isnan(found.bias.mean_rank_correlation)
    assert (found.bias.rank_distance, found.bias.share_at_k) == (0.0, {"swh_Latn": 1.0})
    assert "rank correlation of query languages  -" in task_table(found)


def test_all_documents_tied(parallel):
    found = score_multilingual(parallel, {name: np.zeros((2, 6)) for name in parallel.queries}, bias_depth=3)
    assert found.bias.rank_distance == 0.0
    assert np.isnan(found.bias.mean_rank_correlation)
    assert found.bias.share_at_k == {"eng_Latn": 0.5, "swh_Latn": 0.5}


def test_scores_of_another_shape_are_refused(parallel):
    with pytest.raises(InputError, match=r"eng_Latn have the shape \(2, 5\).*\(2, 6\)"):
        score_multilingual(parallel, {"eng_Latn": np.ones((2, 5)), "swh_Latn": np.ones((2, 6))})


def test_each_text_is_encoded_once(parallel, tmp_path, monkeypatch):
    model = dense(tmp_path)
    read = []
    for role in ("encode_query", "encode_document"):
        original = getattr(model, role)

        def counted(texts, original=original, **options):
            read.extend(texts)
            return original(texts, **options)

        monkeypatch.setattr(model, role, counted)
    found = evaluate_multilingual(model, parallel)
    assert len(read) <= 2 * 3 + 2 * 2
    assert found.pairs["swh_Latn", "eng_Latn"].metrics["recall@1"] == 1.0
    assert found.bias.mean_rank_correlation == pytest.approx(1.0)  # the "languages" are the same here
    assert found.bias.rank_distance == pytest.approx(0.0, abs=1.0)


def test_passages_of_a_folder(folder):
    found = read_multilingual_set(folder)
    assert list(found.queries) == list(found.corpus) == ["eng_Latn", "swh_Latn"]
    assert found.corpus["swh_Latn"]["d1"] == "sw passage 1"
    assert found.qrels["eng_Latn", "swh_Latn"] == {"q0": {"d0": 1}, "q1": {"d2": 1}}
    pair = found.pair("swh_Latn", "eng_Latn")
    assert (pair.queries["q1"], pair.corpus["d0"]) == ("sw query 1", "en passage 0")
    part = read_multilingual_set(folder, query_languages=["sw"], document_languages=["en", "swa"])
    assert list(part.qrels) == [("swh_Latn", "eng_Latn"), ("swh_Latn", "swh_Latn")]


def test_sentences_of_a_folder(folder):
    assert has_sentences(folder)
    found = read_multilingual_set(folder, "sentence")
    assert (found.name, list(found.corpus)) == (f"{folder.name}-sentences", ["eng_Latn"])
    assert found.qrels["swh_Latn", "eng_Latn"] == {"q0": {"s1": 1}, "q1": {"s3": 1}}


def test_bad_folders_are_named(folder):
    with pytest.raises(InputError, match="has eng_Latn, swh_Latn, not som_Latn"):
        read_multilingual_set(folder, query_languages=["so"])
    with pytest.raises(InputError, match="'paragraph'"):
        read_multilingual_set(folder, "paragraph")
    (folder / "qrels_sentences.en.trec").write_text("q0 0 s9 1\n")
    with pytest.raises(InputError, match="1 judged documents do not exist, the first is 's9'"):
        read_multilingual_set(folder, "sentence")
    (folder / "qrels_sentences.en.trec").unlink()
    with pytest.raises(InputError, match="without judgements"):
        read_multilingual_set(folder, "sentence")
    _write(folder, "sentences.en.jsonl", [{"id": "s1", "text": "a"}, {"id": "s1", "text": "b"}])
    (folder / "qrels_sentences.en.trec").write_text("q0 0 s1 1\n")
    with pytest.raises(InputError, match=r"row 2.*'s1' occurs more than once"):
        read_multilingual_set(folder, "sentence")


def test_a_passage_missing_in_one_language_is_named(folder):
    _write(folder, "corpus.sw.jsonl", [{"id": "d0", "text": "sw passage 0"}])
    with pytest.raises(InputError, match="'d2'"):
        read_multilingual_set(folder)


def test_report_and_heat_map(parallel, tmp_path):
    generator = np.random.default_rng(0)
    scores = score_multilingual(parallel, {name: generator.random((2, 6)) for name in parallel.queries})
    records = multilingual_entries(scores)
    entries = [entry.to_json() for entry in records]
    assert [entry["task"] for entry in entries] == ["mono", "cross", "cross", "mono", "multi", "multi"]
    for entry in entries:
        low, high = entry["intervals"]["map"]
        assert low <= entry["scores"]["map"] <= high
        assert set(entry["intervals"]) == set(MEASURES)
    table = scores_table(records)
    assert len({len(line) for line in table.splitlines()[1:]}) == 1
    assert "swh_Latn -> pooled" in table
    assert "worst query language" in task_table(scores)
    rows, columns, matrix = pair_matrix(scores)
    assert (rows, columns) == (["eng_Latn", "swh_Latn"], ["eng_Latn", "swh_Latn", "pooled"])
    assert matrix[0, 1] == scores.pairs["eng_Latn", "swh_Latn"].metrics["map"]
    assert matrix[1, 2] == scores.pooled["swh_Latn"].metrics["map"]
    picture = draw_language_pairs(rows, columns, matrix, tmp_path / "figures" / "pairs.png")
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def load(monkeypatch, tmp_path):
    evaluate = pytest.importorskip("evaluate")
    monkeypatch.setattr(evaluate.config, "HF_EVALUATE_OFFLINE", True, raising=False)
    return lambda name: evaluate.load(str(METRICS / name), cache_dir=str(tmp_path))


def test_rank_distance_as_a_metric(load):
    metric = load("rank_distance")
    found = metric.compute(predictions=[[0.9, 0.5, 0.1], [0.1, 0.2, 0.3]], references=[[0, 2], []])
    assert found == {"rank_distance": 2.0}
    assert metric.compute(predictions=[[0.9, 0.5]], references=[[]]) == {"rank_distance": None}


def test_mean_rank_correlation_as_a_metric(load):
    metric = load("mean_rank_correlation")
    found = metric.compute(predictions=[[3, 2, 1], [1, 2, 3]], references=[[30, 20, 10], [3, 2, 1]])
    assert found["mean_rank_correlation"] == pytest.approx(0.0)
    assert metric.compute(predictions=[[1, 1]], references=[[1, 2]]) == {"mean_rank_correlation": None}


def test_retrieval_scores_as_a_metric(load):
    found = load("retrieval_scores").compute(
        predictions=[{"documents": ["a", "b"], "scores": [2.0, 1.0]}, {"documents": [], "scores": []}],
        references=[{"documents": ["b"], "relevance": [1]}, {"documents": ["a"], "relevance": [1]}],
        cutoffs=(2,),
    )
    assert found["mrr@10"] == 0.25
    assert found["recall@2"] == 0.5
