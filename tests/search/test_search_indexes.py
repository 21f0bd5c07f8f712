"""Indexes: the same two calls and the same answers in memory, in FAISS and in Qdrant, dense and late interaction."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tiny_models

from hf_optical.errors import HFOpticalError, InputError
from hf_optical.search import DocumentIndex, MemoryIndex, QueryEncoders
from hf_optical.search.hit import Hit

WORDS = tiny_models.ENGLISH
DOCUMENTS = [" ".join(WORDS[j % 20] for j in (i, 7 * i + 3, 3 * i + 1, i // 20)) for i in range(60)]
IDS = [f"d{i}" for i in range(60)]
QUERIES = ["the goat sleeps", "a big red house near the river", "dog"]


def _indexes() -> list:
    return [
        pytest.param(lambda *a, **k: MemoryIndex(*a, **k), id="memory"),
        pytest.param(lambda *a, **k: _faiss(*a, **k), id="faiss"),
        pytest.param(lambda *a, **k: _qdrant(*a, **k), id="qdrant"),
    ]


def _faiss(*arguments, **options) -> DocumentIndex:
    pytest.importorskip("faiss", reason="faiss-cpu is not installed: pip install 'hf-optical[index]'")
    from hf_optical.search import FaissIndex

    return FaissIndex(*arguments, **options)


def _qdrant(*arguments, **options) -> DocumentIndex:
    pytest.importorskip("qdrant_client", reason="qdrant-client is not installed: pip install 'hf-optical[index]'")
    from hf_optical.search import QdrantIndex

    return QdrantIndex(*arguments, **options)


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    return tiny_models.dense(tmp_path_factory.mktemp("teacher"))


@pytest.fixture(scope="module")
def late(tmp_path_factory):
    return tiny_models.late(tmp_path_factory.mktemp("late"))


def _same(found: list[list[Hit]], expected: list[list[Hit]]) -> None:
    """The same scores, rank by rank, and so the same documents, those with equal scores apart."""
    for hits, others in zip(found, expected, strict=True):
        np.testing.assert_allclose([hit.score for hit in hits], [hit.score for hit in others], atol=1e-5)
        last = others[-1].score + 1e-5
        assert {hit.id for hit in hits if hit.score > last} == {hit.id for hit in others if hit.score > last}


def _expected_dense(queries: np.ndarray, documents: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    scores = queries @ documents.T / np.linalg.norm(queries, axis=1)[:, None] / np.linalg.norm(documents, axis=1)
    return np.sort(scores, axis=1)[:, ::-1][:, :k], scores


@pytest.mark.parametrize("make", _indexes())
def test_dense_answers_are_those_of_brute_force(make, teacher):
    index = make(teacher)
    assert index.query(["dog"]) == index.query_vectors(teacher.encode_query(["dog"])) == [[]]
    assert index.add(IDS, DOCUMENTS) == 60
    found = index.query(QUERIES, top_k=5)
    best, scores = _expected_dense(teacher.encode_query(QUERIES), teacher.encode_document(DOCUMENTS), 5)
    for row, hits in enumerate(found):
        np.testing.assert_allclose([hit.score for hit in hits], best[row], atol=1e-5)
        for hit in hits:  # the right document for the score, whatever the order of ties
            assert abs(scores[row, IDS.index(hit.id)] - hit.score) < 1e-5
    assert len(index.query(["dog"], top_k=100)[0]) == 60


@pytest.mark.parametrize("make", [_indexes()[0], _indexes()[2]])
def test_late_interaction_answers_are_those_of_maxsim(make, late):
    index = make(late)
    index.add(IDS, DOCUMENTS)
    queries, documents = late.encode_query(QUERIES), late.encode_document(DOCUMENTS)
    scores = np.array([[(np.asarray(q) @ np.asarray(d).T).max(axis=1).sum() for d in documents] for q in queries])
    for row, hits in enumerate(index.query(QUERIES, top_k=4)):
        np.testing.assert_allclose([hit.score for hit in hits], np.sort(scores[row])[::-1][:4], atol=1e-4)
        for hit in hits:
            assert abs(scores[row, IDS.index(hit.id)] - hit.score) < 1e-4


@pytest.mark.parametrize("make", _indexes())
def test_nothing_is_stored_twice_and_changes_replace(make, teacher, monkeypatch):
    index = make(teacher)
    index.add(IDS[:30], DOCUMENTS[:30])
    encoded: list[int] = []
    from hf_optical.search import index as module

    original = module.encode_texts

    def counted(model, texts, *arguments, **options):
        encoded.append(len(texts))
        return original(model, texts, *arguments, **options)

    monkeypatch.setattr(module, "encode_texts", counted)
    assert index.add(IDS, DOCUMENTS) == 30
    assert encoded == [30]  # the other thirty were not even encoded
    assert index.add(IDS, DOCUMENTS) == 0
    assert len(index) == 60
    changed = [*DOCUMENTS[:5], "river river river", *DOCUMENTS[6:]]
    assert index.add(IDS, changed) == 1
    assert len(index) == 60
    assert index.query(["river river river"], top_k=1)[0][0].id == "d5"
    assert sum(hit.id == "d5" for hit in index.query(["river"], top_k=60)[0]) == 1
    assert len(index.query(["river"], top_k=60)[0]) == 60


@pytest.mark.parametrize("make", _indexes())
def test_vectors_in_place_of_texts(make, teacher):
    by_text, by_vector = make(teacher), make(queries=teacher)
    by_text.add(IDS, DOCUMENTS)
    vectors = teacher.encode_document(DOCUMENTS)
    assert by_vector.add(IDS, vectors=vectors) == 60
    assert by_vector.add(IDS, vectors=vectors) == 0
    a, b = by_text.query(QUERIES, top_k=3), by_vector.query(QUERIES, top_k=3)
    _same(a, b)
    with pytest.raises(InputError, match="no document encoder"):
        by_vector.add(["x"], ["dog"])


def test_every_language_has_its_encoder(teacher, tmp_path):
    swahili = tiny_models.dense(tmp_path, tiny_models.SWAHILI, seed=5)
    index = MemoryIndex(teacher, {"sw": swahili, "eng_Latn": teacher})
    index.add(IDS, DOCUMENTS)
    texts = ["mbuzi analala", "the goat sleeps", "mbuzi analala"]
    mixed = index.query(texts, languages=["swh_Latn", "en", "swh"], top_k=60)
    scores = {hit.id: hit.score for hit in mixed[0]}
    expected = swahili.encode_query(["mbuzi analala"]) @ teacher.encode_document(DOCUMENTS).T
    np.testing.assert_allclose([scores[name] for name in IDS], expected[0], atol=1e-5)
    _same(mixed[:1], mixed[2:])
    assert mixed[1][0] != mixed[0][0]
    _same(index.query(texts[:1], languages="sw", top_k=60), mixed[:1])
    with pytest.raises(InputError, match=r"row 2.*no query encoder for som_Latn; there are swh_Latn, eng_Latn"):
        index.query(["a", "b"], languages=["sw", "so"])
    with pytest.raises(InputError, match="without a language"):
        index.query(["a"])
    with pytest.raises(InputError, match="2 languages for 1 texts"):
        index.query(["a"], languages=["sw", "so"])
    fallback = QueryEncoders({"sw": swahili, None: teacher})
    np.testing.assert_allclose(fallback.encode(["dog"], "so"), teacher.encode_query(["dog"]), atol=1e-6)


def test_adapters_route_their_queries_themselves(teacher):
    asked = []

    def encode_query(texts, languages, **options):
        asked.append((texts, languages))
        return teacher.encode_query(texts)

    index = MemoryIndex(teacher, SimpleNamespace(model=teacher, encode_query=encode_query))
    index.add(IDS, DOCUMENTS)
    _same(index.query(["dog"], languages="auto", top_k=2), _memory(teacher).query(["dog"], top_k=2))
    assert asked == [(["dog"], "auto")]


def _memory(teacher) -> MemoryIndex:
    index = MemoryIndex(teacher)
    index.add(IDS, DOCUMENTS)
    return index


@pytest.mark.parametrize("make", _indexes())
def test_refusals(make, teacher, late, tmp_path):
    index = make(teacher)
    with pytest.raises(InputError, match=r"row 3, field 'ids'.*'a' occurs twice"):
        index.add(["a", "b", "a"], ["dog"] * 3)
    with pytest.raises(InputError, match=r"row 2, field 'texts'.*empty"):
        index.add(["a", "b"], ["dog", " "])
    with pytest.raises(InputError, match="2 ids for 1 documents"):
        index.add(["a", "b"], ["dog"])
    with pytest.raises(InputError, match="either texts or vectors"):
        index.add(["a"])
    assert len(index) == 0  # a bad row stops the call before anything is stored
    index.add(IDS[:3], DOCUMENTS[:3])
    with pytest.raises(InputError, match="top_k"):
        index.query(["dog"], top_k=0)
    with pytest.raises(InputError, match=r"row 1, field 'texts'"):
        index.query([""])
    with pytest.raises(InputError, match="one string"):
        index.query("dog")
    with pytest.raises(InputError, match=r"dimensions|numbers"):
        index.query_vectors(np.ones((1, 5), np.float32))
    with pytest.raises(InputError, match="one vector per text and some one per token"):
        QueryEncoders({"sw": teacher, "so": late})


def test_there_must_be_an_encoder():
    with pytest.raises(InputError, match="no encoder"):
        MemoryIndex()
    with pytest.raises(InputError, match="no query encoder"):
        QueryEncoders({})


def test_faiss_holds_dense_vectors_only(late):
    with pytest.raises(InputError, match="one vector per document"):
        _faiss(late)


def test_a_qdrant_folder_is_kept_and_checked(teacher, late, tmp_path):
    place = tmp_path / "store"
    with _qdrant(teacher, location=place) as index:
        index.add(IDS, DOCUMENTS)
        first = index.query(QUERIES, top_k=3)
        with pytest.raises(InputError, match="open in another"):
            _qdrant(teacher, location=place)
    with _qdrant(teacher, location=place) as again:
        assert len(again) == 60
        assert again.add(IDS, DOCUMENTS) == 0
        _same(again.query(QUERIES, top_k=3), first)
        assert isinstance(first[0][0], Hit)
        with pytest.raises(InputError, match="found documents of 5 numbers in a collection of 16"):
            again.add(["x"], vectors=np.ones((1, 5), np.float32))
    with pytest.raises(InputError, match="vectors of another kind"):
        _qdrant(late, location=place)


def _upload(place: Path, teacher) -> tuple[int, int, int]:
    vectors = np.random.default_rng(0).normal(size=(600, 16)).astype(np.float32)
    with _qdrant(queries=teacher, location=place) as index:
        before = len(index)
        added = index.add([f"d{i}" for i in range(600)], vectors=vectors)
        return before, added, len(index)


def test_an_upload_that_was_killed_goes_on(teacher, tmp_path):
    pytest.importorskip("qdrant_client")
    # Forked: a fresh process would import for longer than it uploads.
    process = multiprocessing.get_context("fork").Process(target=_upload, args=(tmp_path / "store", teacher))
    process.start()
    database = tmp_path / "store" / "collection" / "documents" / "storage.sqlite"
    deadline = time.time() + 120
    while (not database.exists() or database.stat().st_size < 50_000) and time.time() < deadline:
        time.sleep(0.001)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    before, added, after = _upload(tmp_path / "store", teacher)
    assert 0 < before < 600
    assert before + added == after == 600


def test_a_server_that_is_not_there(teacher):
    pytest.importorskip("qdrant_client")
    with pytest.raises(HFOpticalError, match="cannot be reached"):
        _qdrant(teacher, location="http://127.0.0.1:9")


def test_a_server_by_url(teacher):
    url = os.environ.get("HF_OPTICAL_QDRANT_URL")
    if not url:
        pytest.skip("no Qdrant server; set HF_OPTICAL_QDRANT_URL to the URL of one")
    index = _qdrant(teacher, location=url, collection=f"hf-optical-test-{os.getpid()}")
    try:
        assert index.add(IDS, DOCUMENTS) == 60
        assert index.add(IDS, DOCUMENTS) == 0
        _same(index.query(QUERIES), _memory(teacher).query(QUERIES))
    finally:
        index.client.delete_collection(index.collection)
