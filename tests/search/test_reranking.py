"""What a dense index found is ordered by tokens."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_models
from script_modules import load_recipe

from hf_optical.configuration.parsing import run
from hf_optical.encoders.encoding import encode_texts
from hf_optical.encoders.token_means import TokenMeans, token_mean
from hf_optical.errors import InputError
from hf_optical.evaluation.search import search_multi_vector
from hf_optical.evaluation.token_scoring import TokenScoring
from hf_optical.search import MemoryIndex, TokenReranker
from hf_optical.search.hit import Hit
from hf_optical.search.qdrant import QdrantIndex
from hf_optical.search.queries import QueryEncoders

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


def test_reranking_by_transport_is_the_score_of_every_pair(teacher):
    texts = list(DOCUMENTS.values())
    mean = token_mean(teacher, texts, "document")
    other = 0.5 * mean
    found = [[Hit(name, 0.0) for name in DOCUMENTS]] * 2
    for kind in ("soft", "balanced"):
        reranker = TokenReranker(
            teacher, scoring=kind, means=TokenMeans({"swh_Latn": mean, "som_Latn": other}, mean), epsilon=0.2
        )
        best = reranker.rerank([QUERIES[1]] * 2, found, DOCUMENTS, languages=["sw", "so"], top_k=4)
        options = {"interaction": "maxsim", "content_only": True}
        query = encode_texts(teacher, [QUERIES[1]], "query", **options)[0]
        read = encode_texts(teacher, texts, "document", **options)
        for hits, query_mean in zip(best, (mean, other), strict=True):
            how = TokenScoring(kind, query_mean, mean, epsilon=0.2)
            scores, order = search_multi_vector([query], read, 4, scoring=how)
            assert [hit.id for hit in hits] == [list(DOCUMENTS)[place] for place in order[0]]
            np.testing.assert_allclose([hit.score for hit in hits], scores[0], atol=1e-5)
        assert best[0][0].score != best[1][0].score  # each language has its own mean
    with pytest.raises(InputError, match="mean tokens are not given"):
        TokenReranker(teacher, scoring="soft")
    chosen = TokenReranker(teacher, means=TokenMeans({}, mean)).scoring, TokenReranker(teacher).scoring
    assert chosen == ("soft", "maxsim")


def test_adapters_are_read_by_tokens_too(teacher):
    """Encoders that route by language give token vectors, not the numbers of a sentence vector."""

    class Router:
        model = teacher

        def encode_query(self, texts, languages, **options):
            assert languages == "sw"
            return teacher.encode_query(texts, **options)

    for content in (False, True):
        routed = QueryEncoders(Router(), interaction="maxsim").encode(QUERIES, "sw", content_only=content)
        plain = encode_texts(teacher, QUERIES, "query", interaction="maxsim", content_only=content)
        for one, same in zip(routed, plain, strict=True):
            np.testing.assert_allclose(one, same, atol=1e-6)


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
    index = ["--location", str(tmp_path / "index")]
    with QdrantIndex(teacher, location=tmp_path / "index") as kept:  # vectors of another's making: no text is known
        kept.add(list(DOCUMENTS), vectors=teacher.encode_document(list(DOCUMENTS.values())))
    with pytest.raises(SystemExit):
        run(recipe.main, recipe.SearchConfig, [*given, *index, "--rerank", "30"])
    assert "needs the documents' texts" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run(recipe.main, recipe.SearchConfig, [*given, *documents, "--rerank", "-1"])
    assert "number of documents to rerank" in capsys.readouterr().err


def test_the_recipe_reranks_by_transport(teacher, tmp_path, capsys, monkeypatch):
    recipe = load_recipe("search")
    teacher.save_pretrained(str(tmp_path / "teacher"))
    lines = ["id\ttext", *(f"{name}\t{text}" for name, text in DOCUMENTS.items())]
    (tmp_path / "documents.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    given = ["--teacher", str(tmp_path / "teacher"), "--query", *QUERIES[1].split(), "--top_k", "3"]
    given += ["--documents", str(tmp_path / "documents.tsv"), "--language", "sw", "--scoring", "soft"]
    given += ["--location", str(tmp_path / "index")]

    def said(*more):
        with pytest.raises(SystemExit):
            run(recipe.main, recipe.SearchConfig, [*given, *more])
        return capsys.readouterr()

    assert "add --rerank 100" in said().err
    assert "mean tokens are not given" in said("--rerank", "30").err
    pairs = "en\tsw\n" + "".join(f"{text}\t{text}\n" for text in DOCUMENTS.values())
    (tmp_path / "pairs.tsv").write_text(pairs, encoding="utf-8")
    mean = token_mean(teacher, list(DOCUMENTS.values()), "query")
    means = TokenMeans({"swh_Latn": mean}, mean)
    found = [[Hit(name, 0.0) for name in DOCUMENTS]]
    best = TokenReranker(teacher, scoring="soft", means=means).rerank(
        [QUERIES[1]], found, DOCUMENTS, languages="sw", top_k=3
    )[0]
    shown = said("--rerank", "30", "--mean_bitext", f"swh_Latn={tmp_path / 'pairs.tsv'}").out
    assert "soft transport" in shown
    assert [line.split()[2] for line in shown.strip().splitlines()[-3:]] == [hit.id for hit in best]
    means.save(tmp_path / "teacher")
    saved = said("--rerank", "30", "--encoders", f"sw={tmp_path / 'teacher'}").out
    assert [line.split()[2] for line in saved.strip().splitlines()[-3:]] == [hit.id for hit in best]
    given.remove("--scoring"), given.remove("soft")
    known, unknown = (said("--rerank", "30", *more).out for more in (["--encoders", f"sw={tmp_path / 'teacher'}"], []))
    assert "soft transport" in known and "sums of cosines" in unknown  # without being asked, where the means are known
    assert not (tmp_path / "index" / "token_means.json").exists()  # thirty documents have no mean of their own
    monkeypatch.setattr("hf_optical.search.index_means.MOST_TEXTS", 30)
    said("--rerank", "30", "--encoders", f"sw={tmp_path / 'teacher'}")
    kept = TokenMeans.load(tmp_path / "index")
    np.testing.assert_allclose(kept.documents, token_mean(teacher, list(DOCUMENTS.values()), "document"), atol=1e-6)
