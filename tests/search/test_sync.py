"""A search as a service of record: the index is what the file says, in every engine."""

import json

import numpy as np
import pytest
import tiny_models
from script_modules import load_recipe
from test_search_indexes import _indexes

from hf_optical.configuration.parsing import parse
from hf_optical.errors import InputError
from hf_optical.search import FaissIndex, MemoryIndex, TokenReranker

DOCUMENTS = {"a": "the goat sleeps", "b": "a dog runs near the river", "c": "the child eats", "d": "a red house"}


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    return tiny_models.dense(tmp_path_factory.mktemp("teacher"))


@pytest.mark.parametrize("make", _indexes())
def test_the_index_becomes_what_is_given(make, teacher):
    index = make(teacher)
    assert index.sync(list(DOCUMENTS), list(DOCUMENTS.values())) == (4, 0, 0, 0)
    after = {"a": "the teacher sees the tree", "c": DOCUMENTS["c"], "d": DOCUMENTS["d"], "e": "the small dog"}
    assert index.sync(list(after), list(after.values())) == (1, 1, 1, 2)
    assert sorted(index.ids()) == sorted(after) and index.texts() == after
    fresh = MemoryIndex(teacher)
    fresh.add(list(after), list(after.values()))
    queries = [*DOCUMENTS.values(), *after.values()]
    found, expected = index.query(queries, top_k=10), fresh.query(queries, top_k=10)
    assert [{hit.id for hit in hits} for hits in found] == [set(after)] * len(queries)
    assert [[hit.score for hit in hits] for hits in found] == [
        pytest.approx([hit.score for hit in hits], abs=1e-5) for hits in expected
    ]
    # Order by tokens needs the text of whatever is found.
    ordered = TokenReranker(teacher).rerank(queries, found, {k: v or "" for k, v in index.texts().items()}, top_k=2)
    assert all(len(hits) == 2 for hits in ordered)
    assert index.sync(list(after), list(after.values())) == (0, 0, 0, 4)


@pytest.mark.parametrize("make", _indexes())
def test_half_of_a_file_does_not_empty_the_index(make, teacher):
    index = make(teacher)
    index.sync(list(DOCUMENTS), list(DOCUMENTS.values()))
    with pytest.raises(InputError, match=r"3 of the 4 documents .* would be removed.*--remove_most true"):
        index.sync(["a"], ["another text"])
    with pytest.raises(InputError, match="4 of the 4"):
        index.sync([], [], remove_most=True)
    assert index.texts() == DOCUMENTS
    assert index.sync(["a"], ["another text"], remove_most=True) == (0, 1, 3, 0)
    assert index.texts() == {"a": "another text"}


@pytest.mark.parametrize("factory", ["Flat", "HNSW8", "IVF4,Flat"])
def test_vectors_of_documents_that_are_gone_do_not_pile_up_in_faiss(teacher, factory, monkeypatch):
    pytest.importorskip("faiss")
    monkeypatch.setattr("hf_optical.search.faiss._FEWEST_DEAD", 20)
    index, rows = FaissIndex(teacher, factory=factory), np.random.default_rng(0).normal(size=(60, 16)).astype("float32")
    names = [str(number) for number in range(60)]
    index.add(names, vectors=rows)
    index.delete(names[:25])
    assert index._index.ntotal == 60 and len(index) == 35  # fewer are gone than are there
    index.delete(names[25:40])
    assert index._index.ntotal == len(index) == 20
    found = index.query_vectors(rows[40:], top_k=3)
    assert [hits[0].id for hits in found] == names[40:] and all(hit.id in names[40:] for hits in found for hit in hits)
    assert found[0][0].score == pytest.approx(1.0, abs=1e-5)
    index.add(["7"], vectors=rows[7:8])
    assert index.query_vectors(rows[7:8], top_k=1)[0][0].id == "7"
    index.delete([*names[40:], "7"])
    assert len(index) == 0 and index._index.ntotal in (0, 21)  # few dead ones may stay


def test_an_empty_query_is_refused_and_none_only_indexes(teacher, tmp_path, capsys):
    teacher.save_pretrained(str(tmp_path / "teacher"))
    (tmp_path / "docs.jsonl").write_text("".join(json.dumps({"id": k, "text": v}) + "\n" for k, v in DOCUMENTS.items()))
    search = load_recipe("search")

    def call(*more):
        flags = ["--teacher", str(tmp_path / "teacher"), "--documents", str(tmp_path / "docs.jsonl"), *more]
        search.main(parse(search.SearchConfig, flags))
        return capsys.readouterr().out

    for empty in ("", " ", "\u200b", "\u00a0\t"):
        with pytest.raises(InputError, match=r"'query': .*(empty|invisible).*leave --query out to index only"):
            call("--query", empty)
    (tmp_path / "queries.tsv").write_text("id\ttext\n1\tthe goat\n2\t\n")
    with pytest.raises(InputError, match=r"queries.tsv, row 3.*empty"):
        call("--queries", str(tmp_path / "queries.tsv"))
    assert "the index has 4" in call()
    (tmp_path / "sw.tsv").write_text("en\tsw\n" + "the goat\tmbuzi\n" * 8 + "the dog\t\n")
    more = ["--query", "the goat", "--rerank", "2", "--scoring", "soft", "--mean_bitext", f"sw={tmp_path / 'sw.tsv'}"]
    with pytest.raises(InputError, match=r"row 10, field 'sw'.*--on_bad_rows skip"):
        call(*more)
    assert "after reranking" in call(*more, "--language", "sw", "--on_bad_rows", "skip")


def test_the_command_says_the_counts_and_reranks_after(teacher, tmp_path, capsys):
    teacher.save_pretrained(str(tmp_path / "teacher"))
    search = load_recipe("search")

    def call(documents, *more):
        rows = [json.dumps({"id": name, "text": text}) for name, text in documents.items()]
        (tmp_path / "docs.jsonl").write_text("\n".join(rows))
        flags = ["--teacher", str(tmp_path / "teacher"), "--documents", str(tmp_path / "docs.jsonl")]
        flags += ["--location", str(tmp_path / "index"), "--query", "the goat sleeps", *more]
        search.main(parse(search.SearchConfig, flags))
        return capsys.readouterr().out

    pytest.importorskip("qdrant_client")
    assert "4 documents added, 0 changed, 0 removed, 0 as they were; the index has 4" in call(DOCUMENTS)
    fewer = {"b": "a dog sleeps", "c": DOCUMENTS["c"], "d": DOCUMENTS["d"]}
    said = call(fewer, "--rerank", "10")
    assert "0 documents added, 1 changed, 1 removed, 2 as they were; the index has 3" in said
    assert "  a  " not in said and "after reranking" in said
    assert "1 documents are new or changed; the index has 4" in call({"f": "a river"}, "--sync", "false")
