"""What a dense index found is ordered by tokens."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_models
from script_modules import load_recipe

from hf_optical.configuration.parsing import run
from hf_optical.errors import InputError
from hf_optical.search import MemoryIndex, TokenReranker
from hf_optical.search.index import Hit

WORDS = tiny_models.ENGLISH
DOCUMENTS = {f"d{i}": " ".join(WORDS[j % 20] for j in (i, 7 * i + 3, 3 * i + 1, i // 20)) for i in range(30)}
QUERIES = ["the goat sleeps", "a big red house near the river", "dog"]


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    return tiny_models.dense(tmp_path_factory.mktemp("teacher"))


def test_all_documents_reranked_are_those_of_an_index_by_tokens(teacher):
    dense, tokens = MemoryIndex(teacher), MemoryIndex(teacher, interaction="maxsim")
    for index in (dense, tokens):
        index.add(list(DOCUMENTS), list(DOCUMENTS.values()))
    found = dense.query(QUERIES, top_k=len(DOCUMENTS))
    best = TokenReranker(teacher).rerank(QUERIES, found, DOCUMENTS, top_k=5)
    for hits, others in zip(best, tokens.query(QUERIES, top_k=5), strict=True):
        np.testing.assert_allclose([hit.score for hit in hits], [hit.score for hit in others], atol=1e-5)
    assert [hits[0].id for hits in best] != [hits[0].id for hits in found]


def test_only_what_was_found_is_ordered(teacher):
    found = [[Hit("d3", 1.0), Hit("d1", 0.5)], [], [Hit("d2", 0.1), Hit("d2", 0.1)]]
    best = TokenReranker(teacher).rerank(QUERIES, found, DOCUMENTS, top_k=10)
    assert [sorted(hit.id for hit in hits) for hits in best] == [["d1", "d3"], [], ["d2"]]
    assert TokenReranker(teacher).rerank(QUERIES[:1], [[]], DOCUMENTS) == [[]]


def test_a_language_goes_through_its_own_encoder(teacher, tmp_path):
    other = tiny_models.dense(tmp_path, seed=1)
    found = [[Hit(name, 0.0) for name in DOCUMENTS]] * 2
    reranker = TokenReranker(teacher, {"swh_Latn": other, None: teacher})
    mixed = reranker.rerank([QUERIES[0]] * 2, found, DOCUMENTS, languages=["sw", None])
    assert mixed[1] == TokenReranker(teacher).rerank(QUERIES[:1], found[:1], DOCUMENTS)[0]
    assert mixed[0] == TokenReranker(teacher, other).rerank(QUERIES[:1], found[:1], DOCUMENTS)[0] != mixed[1]


def test_bad_input_is_named(teacher):
    reranker = TokenReranker(teacher)
    with pytest.raises(InputError, match="1 lists for 3 queries"):
        reranker.rerank(QUERIES, [[]], DOCUMENTS)
    with pytest.raises(InputError, match="have no text, such as 'x'"):
        reranker.rerank(QUERIES[:1], [[Hit("x", 1.0)]], DOCUMENTS)
    with pytest.raises(InputError, match="is 0"):
        reranker.rerank(QUERIES[:1], [[Hit("d1", 1.0)]], DOCUMENTS, top_k=0)


def test_the_recipe_reranks(teacher, tmp_path, capsys):
    recipe = load_recipe("search")
    teacher.save_pretrained(str(tmp_path / "teacher"))
    lines = ["id\ttext", *(f"{name}\t{text}" for name, text in DOCUMENTS.items())]
    (tmp_path / "documents.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    given = ["--teacher", str(tmp_path / "teacher"), "--query", *QUERIES[1].split(), "--top_k", "3"]
    documents = ["--documents", str(tmp_path / "documents.tsv")]
    with pytest.raises(SystemExit) as stop:
        run(recipe.main, recipe.SearchConfig, [*given, *documents, "--rerank", "30"])
    assert stop.value.code == 0
    printed = capsys.readouterr().out
    found = [[Hit(name, 0.0) for name in DOCUMENTS]]
    best = TokenReranker(teacher).rerank([QUERIES[1]], found, DOCUMENTS, top_k=3)[0]
    assert "after reranking" in printed
    assert [line.split()[2] for line in printed.strip().splitlines()[-3:]] == [hit.id for hit in best]
    with pytest.raises(SystemExit):
        run(recipe.main, recipe.SearchConfig, [*given, "--location", str(tmp_path / "index"), "--rerank", "30"])
    assert "needs the documents' texts" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run(recipe.main, recipe.SearchConfig, [*given, *documents, "--rerank", "-1"])
    assert "how many documents to order anew" in capsys.readouterr().err
