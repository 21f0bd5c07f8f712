"""Search by vectors and words at once, documents taken out, texts that the index knows."""

from __future__ import annotations

import pytest
import tiny_models
from script_modules import load_recipe
from test_search_indexes import DOCUMENTS, IDS, _indexes, _qdrant

from hf_optical.configuration.parsing import run
from hf_optical.errors import InputError
from hf_optical.evaluation.bm25 import Bm25
from hf_optical.evaluation.fusion import reciprocal_rank_fusion
from hf_optical.search import Hit, MemoryIndex


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    return tiny_models.dense(tmp_path_factory.mktemp("teacher"))


@pytest.mark.parametrize("make", _indexes())
def test_both_rankings_are_fused_and_a_word_that_the_vectors_do_not_know_is_found(make, teacher):
    index = make(teacher)
    index.add([*IDS, "named"], [*DOCUMENTS, "Zanzibar"])
    query = "the goat Zanzibar"
    vectors = [hit.id for hit in index.query([query], top_k=100)[0]]
    texts = dict(sorted(zip([*IDS, "named"], [*DOCUMENTS, "Zanzibar"], strict=True)))
    words = [list(texts)[place] for place, _ in Bm25(list(texts.values())).best(query, 100)]
    expected = list(reciprocal_rank_fusion([vectors, words]).items())[:5]
    found = index.query([query], top_k=5, hybrid=True)[0]
    assert [hit.score for hit in found] == pytest.approx([score for _, score in expected])
    assert words[0] == "named" and "named" in [hit.id for hit in index.query([query], top_k=30, hybrid=True)[0]]
    index.add(["other"], ["Zanzibar Zanzibar"])  # the words are counted anew
    assert "other" in [hit.id for hit in index.query([query], top_k=30, hybrid=True)[0]]


@pytest.mark.parametrize("make", _indexes())
def test_documents_are_taken_out_and_may_come_back(make, teacher):
    index = make(teacher)
    index.add(IDS, DOCUMENTS)
    best = index.query([DOCUMENTS[7]], top_k=1, hybrid=True)[0][0].id
    assert index.delete([best, "no such document"]) == 1
    assert len(index) == 59 and best not in index.texts()
    for hybrid in (False, True):
        assert best not in [hit.id for hit in index.query([DOCUMENTS[7]], top_k=60, hybrid=hybrid)[0]]
    assert index.add(IDS, DOCUMENTS) == 1
    assert index.texts([best, "no such document"]) == {best: DOCUMENTS[IDS.index(best)]}
    assert index.query([DOCUMENTS[7]], top_k=1, hybrid=True)[0][0].id == best
    assert index.delete(IDS) == 60 and index.query(["goat"], hybrid=True) == [[]]


def test_vectors_without_texts_are_not_searched_by_words(teacher):
    index = MemoryIndex(queries=teacher)
    index.add(["a"], vectors=teacher.encode_document(["goat"]))
    assert index.texts() == {"a": None}
    with pytest.raises(InputError, match=r"vectors without texts .*'a'.*add the documents by text"):
        index.query(["goat"], hybrid=True)


def test_a_kept_index_shows_what_it_found(teacher, tmp_path, capsys):
    with _qdrant(teacher, location=tmp_path / "index") as index:
        index.add(IDS, DOCUMENTS)
    teacher.save_pretrained(str(tmp_path / "teacher"))
    recipe = load_recipe("search")
    given = ["--teacher", str(tmp_path / "teacher"), "--location", str(tmp_path / "index"), "--query", "goat"]
    for more in (["--hybrid"], ["--rerank", "5"], []):
        with pytest.raises(SystemExit) as stop:
            run(recipe.main, recipe.SearchConfig, [*given, *more, "--top_k", "3"])
        assert stop.value.code == 0
        printed = capsys.readouterr().out
        assert ("reciprocal ranks" in printed) == (more == ["--hybrid"])
        lines = printed.strip().splitlines()[-3:]
        assert all(DOCUMENTS[IDS.index(line.split()[2])] in line for line in lines)


def test_hits_are_pairs():
    assert Hit("a", 1.0) == ("a", 1.0)
