"""Encoding, caching, retrieval scores and the evaluator, with tiny encoders and with a real one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from peft import LoraConfig
from tiny_models import ENGLISH, dense, late

from hf_optical.adapters import LanguageAdapters
from hf_optical.data.retrieval import RetrievalSet, read_retrieval_set
from hf_optical.encoders.encoding import encode_texts, resolve_interaction
from hf_optical.encoders.token_vectors import TokenVectors
from hf_optical.errors import InputError, NonFiniteError
from hf_optical.evaluation import document_cache, retrieval
from hf_optical.evaluation.document_cache import DocumentCache, fingerprint
from hf_optical.evaluation.evaluators import CrossLingualRetrievalEvaluator
from hf_optical.evaluation.retrieval import evaluate_retrieval


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return dense(tmp_path_factory.mktemp("dense"))


@pytest.fixture(scope="module")
def late_model(tmp_path_factory):
    return late(tmp_path_factory.mktemp("late"))


def _sentences(count, seed=0):
    generator = np.random.default_rng(seed)
    return [" ".join(generator.choice(ENGLISH, generator.integers(1, 9))) for _ in range(count)]


@pytest.fixture
def small_set():
    texts = list(dict.fromkeys(_sentences(30)))
    corpus = {f"d{index}": text for index, text in enumerate(texts)}
    queries = {f"q{index}": text for index, text in enumerate(texts[:8])}
    qrels = {f"q{index}": {f"d{index}": 1} for index in range(8)}
    return RetrievalSet("small", "swh_Latn", "eng_Latn", queries, corpus, qrels, None)


@pytest.mark.parametrize("interaction", ["dense", "maxsim"])
def test_encoding_keeps_the_order_of_the_texts(model, interaction):
    texts = _sentences(40)
    found = encode_texts(model, texts, "document", interaction=interaction, batch_size=2)
    assert len(found) == 40
    for index in (0, 7, 39):
        alone = encode_texts(model, [texts[index]], "document", interaction=interaction)[0]
        np.testing.assert_allclose(found[index], alone, atol=1e-5)


def test_token_vectors_of_a_dense_model_are_normalised(model):
    rows = encode_texts(model, ["the goat"], "query", interaction="maxsim")[0]
    assert rows.shape == (4, 16)  # two words between two special tokens
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)


def test_the_same_texts_are_found_first(model, late_model, small_set):
    for encoder, interaction in ((model, None), (model, "maxsim"), (late_model, None)):
        scores = evaluate_retrieval(encoder, small_set, interaction=interaction)
        assert scores.run is None  # kept on request only
        assert (scores.set, scores.language, scores.n) == ("small", "swh_Latn", 8)
        assert scores.metrics["recall@1"] == 1.0, (encoder, interaction)
        assert list(scores.per_query) == list(small_set.queries)


def test_maxsim_scores_are_those_of_the_host_library(late_model, small_set):
    texts = list(small_set.corpus.values())
    ours = retrieval.search(
        encode_texts(late_model, texts[:5], "query"), encode_texts(late_model, texts, "document"), None
    )
    theirs = late_model.similarity(late_model.encode_query(texts[:5]), late_model.encode_document(texts)).numpy()
    np.testing.assert_allclose(np.take_along_axis(theirs, ours[1], axis=1), ours[0], atol=1e-4)


def test_other_texts_for_the_same_queries(model, small_set):
    reversed_texts = dict(zip(small_set.queries, reversed(small_set.queries.values()), strict=True))
    assert evaluate_retrieval(model, small_set, queries=reversed_texts).metrics["recall@1"] < 0.5
    with pytest.raises(InputError, match="7 judged queries of small have no text, the first is 'q1'"):
        evaluate_retrieval(model, small_set, queries={"q0": "goat"})


def test_only_judged_queries_count(model, small_set):
    qrels = {"q0": {"d0": 1}, "q1": {"d1": 0}}
    part = RetrievalSet("small", "swh_Latn", "eng_Latn", small_set.queries, small_set.corpus, qrels, None)
    assert evaluate_retrieval(model, part).n == 1
    nothing = RetrievalSet("small", "swh_Latn", "eng_Latn", small_set.queries, small_set.corpus, {}, None)
    with pytest.raises(InputError, match="no query with a relevant document"):
        evaluate_retrieval(model, nothing)


def test_query_and_document_encoders_may_differ(model, small_set, tmp_path):
    other = dense(tmp_path, seed=1)
    alone, mixed = evaluate_retrieval(model, small_set), evaluate_retrieval(other, small_set, model)
    assert mixed.metrics["mrr"] < alone.metrics["mrr"]


def test_other_dimensions_are_refused_with_both_names(model, small_set, tmp_path):
    with pytest.raises(InputError, match=r"query encoder .* has 24 dimensions and the document encoder .* has 16"):
        evaluate_retrieval(dense(tmp_path, width=24), small_set, model)


def test_interactions(model, late_model):
    assert (resolve_interaction(model), resolve_interaction(late_model)) == ("dense", "maxsim")
    assert resolve_interaction(model, "maxsim") == "maxsim"
    with pytest.raises(InputError, match="no single vector"):
        resolve_interaction(late_model, "dense")
    with pytest.raises(InputError, match="'colbert'"):
        resolve_interaction(model, "colbert")


def test_non_finite_vectors_are_refused_with_the_texts(small_set, tmp_path):
    broken = dense(tmp_path, seed=3)
    token = broken.tokenizer.convert_tokens_to_ids("goat")
    with torch.no_grad():
        broken[0].auto_model.embeddings.word_embeddings.weight[token] = float("nan")
    with pytest.raises(NonFiniteError, match="1 of 2 texts read as document: 'the goat'"):
        encode_texts(broken, ["the dog", "the goat"], "document")
    with pytest.raises(NonFiniteError, match="'the goat'"):
        encode_texts(broken, ["the dog", "the goat"], "query", interaction="maxsim")


def test_a_distance_is_not_searched_by(small_set, tmp_path):
    model = dense(tmp_path, seed=4)
    model.similarity_fn_name = "euclidean"
    with pytest.raises(InputError, match="euclidean"):
        evaluate_retrieval(model, small_set)
    assert evaluate_retrieval(model, small_set, similarity="cosine").n == 8


@pytest.mark.parametrize("interaction", ["dense", "maxsim"])
@pytest.mark.parametrize("on_disk", [False, True])
def test_cached_vectors_are_those_encoded(model, interaction, on_disk, tmp_path, monkeypatch):
    texts, folder = _sentences(20), tmp_path / "cache" if on_disk else None
    expected = encode_texts(model, texts, "document", interaction=interaction)
    cache = DocumentCache(folder)
    first = cache.vectors(model, texts, interaction=interaction)
    monkeypatch.setattr(document_cache, "encode_blocks", None)  # reading must not encode
    monkeypatch.setattr(document_cache, "encode_texts", None)
    for again in (first, cache.vectors(model, texts, interaction=interaction)):
        for found, wanted in zip(again, expected, strict=True):
            np.testing.assert_array_equal(found, wanted)
    if on_disk:
        fresh = DocumentCache(folder).vectors(model, texts, interaction=interaction)
        values = fresh.values if isinstance(fresh, TokenVectors) else fresh
        assert isinstance(values, np.memmap)
        np.testing.assert_array_equal(fresh[3], expected[3])
        assert [path.name for path in folder.glob(".*")] == []


def test_the_cache_knows_weights_prompts_texts_and_roles(tmp_path):
    encoder = dense(tmp_path, seed=5)
    before = fingerprint(encoder)
    assert fingerprint(dense(tmp_path / "again", seed=5)) == before
    encoder.prompts["document"] = "passage: "
    prompted = fingerprint(encoder)
    encoder.max_seq_length = 5
    shorter = fingerprint(encoder)
    with torch.no_grad():
        next(encoder.parameters())[0, 0] += 1e-3
    trained = fingerprint(encoder)
    next(encoder.parameters()).data[0, 1] += 1e-3  # as adapters are merged: PyTorch counts no change
    merged = fingerprint(encoder)
    encoder.tokenizer.add_tokens(["zebra"])
    assert len({before, prompted, shorter, trained, merged, fingerprint(encoder)}) == 6
    cache = DocumentCache(tmp_path / "cache")
    for texts in (["ab", "c"], ["a", "bc"], ["c", "ab"]):
        cache.vectors(encoder, texts)
    cache.vectors(encoder, ["ab", "c"], "query")
    assert len([entry for entry in (tmp_path / "cache").iterdir() if entry.suffix != ".lock"]) == 4


def test_the_cache_knows_through_which_adapter_a_model_reads(tmp_path):
    encoder, cache, texts = dense(tmp_path, seed=8), DocumentCache(), ["the goat"]
    adapters = LanguageAdapters(encoder)
    for language in ("swh_Latn", "som_Latn"):
        adapters.add(language, r=2)
    for name, weight in encoder.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight)
    for language in (None, "swh_Latn", "som_Latn"):
        with adapters.use(language):
            np.testing.assert_array_equal(cache.vectors(encoder, texts), encode_texts(encoder, texts, "document"))

    hosts = dense(tmp_path / "hosts", seed=8)  # the same through peft alone
    for language in ("swh_Latn", "som_Latn"):
        hosts.add_adapter(LoraConfig(r=2, target_modules=["query"], init_lora_weights=False), language)
    found = []
    for language in ("swh_Latn", "som_Latn"):
        hosts.set_adapter(language)
        found.append(fingerprint(hosts))
    hosts.disable_adapters()
    assert len({*found, fingerprint(hosts)}) == 3


def test_a_failed_encoding_leaves_nothing_in_the_cache(tmp_path):
    broken = dense(tmp_path, seed=6)
    with torch.no_grad():
        next(broken.parameters())[:] = float("nan")
    cache = DocumentCache(tmp_path / "cache")
    for interaction in ("dense", "maxsim"):
        with pytest.raises(NonFiniteError):
            cache.vectors(broken, ["the goat"], interaction=interaction)
    assert [entry for entry in (tmp_path / "cache").iterdir() if entry.suffix != ".lock"] == []


def test_the_evaluator_encodes_documents_once(model, small_set, monkeypatch):
    evaluator = CrossLingualRetrievalEvaluator(small_set, document_encoder=model, primary_metric="mrr@10")
    calls = []
    original = model.encode_document
    monkeypatch.setattr(
        model, "encode_document", lambda *args, **options: calls.append(1) or original(*args, **options)
    )
    first, second = evaluator(model), evaluator(model)
    assert len(calls) == 1
    assert first == second
    assert evaluator.primary_metric == "small_swh_Latn_mrr@10"
    assert first[evaluator.primary_metric] == 1.0
    assert evaluator.scores.n == 8
    assert evaluator.get_config_dict()["documents"] == len(small_set.corpus)


def test_the_evaluator_without_a_teacher_reads_documents_anew(small_set, tmp_path):
    encoder = dense(tmp_path, seed=7)
    evaluator = CrossLingualRetrievalEvaluator(small_set, name="dev")
    assert evaluator(encoder)["dev_ndcg@10"] == 1.0
    with torch.no_grad():
        next(encoder.parameters()).fill_(1.0)
    assert evaluator(encoder)["dev_ndcg@10"] < 1.0


def test_the_evaluator_refuses_an_unknown_measure(small_set):
    with pytest.raises(InputError, match=r"'ndcg@5' is unknown.*ndcg@10"):
        CrossLingualRetrievalEvaluator(small_set, primary_metric="ndcg@5")


@pytest.mark.real
def test_a_real_english_teacher_answers_english_better_than_tagalog(english_teacher_path, shared_data):
    from sentence_transformers import SentenceTransformer

    teacher = SentenceTransformer(str(english_teacher_path), device="cpu")
    full = read_retrieval_set(shared_data / "eval" / "ntrex_bitext", "tl")
    ids = list(full.qrels)[:25]
    documents = {document: full.corpus[document] for query in ids for document in full.qrels[query]}
    qrels = {query: full.qrels[query] for query in ids}
    part = RetrievalSet("part", "tgl_Latn", "eng_Latn", full.queries, documents, qrels, None)
    raw = evaluate_retrieval(teacher, part)
    english = {query: documents[next(iter(judged))] for query, judged in qrels.items()}
    ceiling = evaluate_retrieval(teacher, part, queries=english)
    assert raw.n == ceiling.n == 25
    assert ceiling.metrics["recall@1"] == 1.0
    assert 0.5 < raw.metrics["mrr"] < 0.95
