"""Every set of the table from a small local copy of the same shape, into the project's layout."""

from __future__ import annotations

import gzip
import json
import logging

import pytest

from hf_optical.data.benchmarks import SETS, parse_reference, retrieval_folder
from hf_optical.data.retrieval import read_retrieval_set, retrieval_languages
from hf_optical.errors import InputError
from hf_optical.evaluation.multilingual_set import has_sentences, read_multilingual_set


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_OPTICAL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path / "cache"


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else "".join(json.dumps(row) + "\n" for row in content)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def squad(paragraphs):
    """SQuAD's JSON with LAReQA's sentence breaks; a paragraph is (sentences, [(question id, question, sentence)])."""
    found = []
    for sentences, questions in paragraphs:
        text, breaks = "", []
        for sentence in sentences:
            text += " " if text else ""
            breaks.append([len(text), len(text) + len(sentence)])
            text += sentence
        qas = [
            {"id": name, "question": asked, "answers": [{"text": "x", "answer_start": breaks[index][0] + 1}]}
            for name, asked, index in questions
        ]
        found.append({"context": text, "qas": qas, "sentence_breaks": breaks})
    return json.dumps({"version": 1.0, "data": [{"title": "t", "paragraphs": found}]})


def xquad(folder, tag):
    first = ([f"{tag} one.", f"{tag} two."], [("q1", f"{tag} first?", 1), ("q0", f"{tag} second?", 0)])
    put(folder / f"{tag}.json", squad([first, ([f"{tag} three."], [("q2", f"{tag} third?", 0)])]))


def test_parallel_passages_and_sentences(tmp_path):
    for tag in ("en", "de", "hi"):
        xquad(tmp_path / "lareqa" / "xquad-r", tag)
    folder = retrieval_folder(f"xquad_r:de+hi@{tmp_path / 'lareqa'}")
    assert retrieval_languages(folder)["queries"] == ("deu_Latn", "eng_Latn", "hin_Deva")  # English always
    found = read_multilingual_set(folder)
    assert found.corpus["deu_Latn"] == {"q0": "de one. de two.", "q2": "de three."}
    assert found.queries["hin_Deva"]["q1"] == "hi first?"
    assert found.qrels["hin_Deva", "deu_Latn"] == {"q1": {"q0": 1}, "q0": {"q0": 1}, "q2": {"q2": 1}}
    assert has_sentences(folder)
    sentences = read_multilingual_set(folder, "sentence")
    assert sentences.corpus["eng_Latn"] == {"q0-s0": "en one.", "q0-s1": "en two.", "q2-s0": "en three."}
    assert sentences.qrels["deu_Latn", "eng_Latn"]["q1"] == {"q0-s1": 1}
    assert read_retrieval_set(folder, "de").english_queries["q2"] == "en third?"
    assert json.loads((folder / "source.json").read_text())["licence"] == "CC-BY-SA-4.0"


def test_passages_that_are_not_parallel_have_judgements_by_pair(tmp_path):
    copy = tmp_path / "mlqa-dev-r"
    put(copy / "en.json", squad([(["A."], [("q0", "a?", 0), ("q1", "b?", 0)]), (["B."], [("q2", "c?", 0)])]))
    put(copy / "es.json", squad([(["As."], [("q0", "as?", 0)]), (["Bs."], [("q2", "cs?", 0), ("q1", "bs?", 0)])]))
    put(copy / "de.json", squad([(["Ad."], [("q0", "ad?", 0)])]))
    found = read_multilingual_set(f"mlqa_r:en+es+de@{copy}")
    assert found.qrels["eng_Latn", "spa_Latn"] == {"q0": {"q0": 1}, "q1": {"q1": 1}, "q2": {"q1": 1}}
    assert found.qrels["spa_Latn", "eng_Latn"] == {"q0": {"q0": 1}, "q1": {"q0": 1}, "q2": {"q2": 1}}
    assert found.qrels["eng_Latn", "deu_Latn"] == {"q0": {"q0": 1}}
    assert set(found.queries["eng_Latn"]) == {"q0", "q1", "q2"}
    assert read_retrieval_set(f"mlqa_r:en+es+de@{copy}", "en", "de").queries == {"q0": "a?"}
    assert read_multilingual_set(f"mlqa_r:en+es+de@{copy}", "sentence").qrels["deu_Latn", "spa_Latn"] == {
        "q0": {"q0-s0": 1}
    }


def test_xquad_r_as_the_hub_has_it(tmp_path):
    datasets = pytest.importorskip("datasets")
    copy = tmp_path / "hub"
    for tag in ("en", "de"):
        columns = {
            "id": ["q0", "q1"],
            "context": [f"{tag} one.", f"{tag} one."],
            "question": [f"{tag} a?", f"{tag} b?"],
            "answers": [{"text": ["x"], "answer_start": [0]}] * 2,
        }
        (copy / tag).mkdir(parents=True)
        datasets.Dataset.from_dict(columns).to_parquet(str(copy / tag / "validation-00000-of-00001.parquet"))
    configs = "".join(
        f"- config_name: {tag}\n  data_files:\n  - split: validation\n    path: {tag}/validation-*\n"
        for tag in ("en", "de")
    )
    (copy / "README.md").write_text(f"---\nconfigs:\n{configs}---\n")
    folder = retrieval_folder(f"xquad_r:de@{copy}")
    assert read_retrieval_set(folder, "de", "de").corpus == {"q0": "de one."}
    assert not has_sentences(folder)


def test_belebele(tmp_path):
    for tag in ("eng_Latn", "swh_Latn"):
        rows = [
            {"link": f"https://x/{n // 2}", "question_number": 1 + n % 2, "flores_passage": f"{tag} {n // 2}"}
            | {"question": f"{tag} {n}?", "mc_answer1": "a", "dialect": tag}
            for n in range(4)
        ]
        put(tmp_path / "data" / f"{tag}.jsonl", rows)
    found = read_retrieval_set(f"belebele:sw@{tmp_path}", "sw")
    assert found.corpus == {"https://x/0#1": "eng_Latn 0", "https://x/1#1": "eng_Latn 1"}
    assert found.queries["https://x/1#2"] == "swh_Latn 3?"
    assert found.qrels["https://x/1#2"] == {"https://x/1#1": 1}
    assert found.english_queries["https://x/0#1"] == "eng_Latn 0?"


def test_afriqa_with_two_pivots(tmp_path):
    for tag in ("ibo.en", "kin.en", "fon.fr"):
        rows = [
            {
                "id": str(n),
                "context": f"{tag[-2:]} {n % 2}",
                "question_lang": f"{tag} {n}?",
                "question_translated": "why?",
            }
            for n in range(3)
        ]
        name = f"gold_span_passages.afriqa.{tag}.test.json"
        put(tmp_path / "gold_passages" / tag[:3] / name, rows)
    folder = retrieval_folder(f"afriqa:ibo+kin+fon@{tmp_path}")
    ibo = read_retrieval_set(folder, "ibo", "en")
    assert list(ibo.queries) == ["ibo-test-0", "ibo-test-1", "ibo-test-2"]
    assert ibo.qrels["ibo-test-2"] == {"ibo-test-0": 1}
    assert sorted(ibo.corpus.values()) == ["en 0", "en 1"]  # shared by the two languages
    assert ibo.english_queries["ibo-test-0"] == "why?"
    fon = read_retrieval_set(folder, "fon", "fr")
    assert sorted(fon.corpus.values()) == ["fr 0", "fr 1"]
    assert fon.english_queries is None  # its translations are French
    with pytest.raises(InputError, match=r"no judgements \(qrels\) of fra_Latn documents"):
        read_retrieval_set(folder, "ibo", "fr")


def test_miracl(tmp_path, caplog):
    put(tmp_path / "miracl-v1.0-sw/topics/topics.miracl-v1.0-sw-dev.tsv", "1\tMto?\n2\tBure?\n")
    put(tmp_path / "miracl-v1.0-sw/qrels/qrels.miracl-v1.0-sw-dev.tsv", "1 Q0 7#0 1\n1 Q0 7#1 0\n2 Q0 7#1 0\n")
    for part in (2, 10, 0):  # in the order of their numbers
        rows = [{"docid": f"7#{part}", "title": "Nile", "text": f"River {part}."}]
        put(tmp_path / f"miracl-corpus-v1.0-sw/docs-{part}.jsonl.gz", rows)
    put(tmp_path / "miracl-corpus-v1.0-sw/docs-1.jsonl.gz", [{"docid": "7#1", "title": "", "text": "Nile again."}])
    with caplog.at_level(logging.WARNING):
        folder = retrieval_folder(f"miracl:sw@{tmp_path}")
    assert "1 queries have no positive judgement" in caplog.text
    assert "swh_Latn\t2\tno positive judgement" in (folder / "left_out.tsv").read_text()
    found = read_retrieval_set(folder, "sw", "sw", use_titles=True)
    assert list(found.corpus) == ["7#0", "7#1", "7#2", "7#10"]
    assert (found.corpus["7#2"], found.corpus["7#1"]) == ("Nile River 2.", "Nile again.")
    assert found.qrels == {"1": {"7#0": 1, "7#1": 0}}


def test_mmarco(tmp_path):
    for name in ("english", "german"):
        put(tmp_path / f"data/google/queries/dev/{name}_queries.dev.small.tsv", f"5\t{name} query\n")
        put(tmp_path / f"data/google/collections/{name}_collection.tsv", f"0\t{name} zero\n1\t{name} one\n")
    put(tmp_path / "data/qrels.dev.small.tsv", "5\t0\t1\t1\n")
    found = read_multilingual_set(f"mmarco:de@{tmp_path}")
    assert found.corpus["deu_Latn"] == {"0": "german zero", "1": "german one"}
    assert found.qrels["eng_Latn", "deu_Latn"] == {"5": {"1": 1}}


def test_africlirmatrix(tmp_path):
    put(tmp_path / "test/queries/topics.africlirmatrix-v1.0.en.swa.tsv", "9\tNile\n")
    put(tmp_path / "test/qrels/qrels.africlirmatrix-v1.0.en.swa.txt", "9 Q0 44 5\n")
    put(tmp_path / "africlirmatrix-v1.0-swahili/corpus.jsonl", [{"id": "44", "contents": "Mto Nile"}])
    put(tmp_path / "africlirmatrix-v1.0-zulu/corpus.jsonl", [{"id": "44", "contents": "Another"}])
    found = read_retrieval_set(f"africlirmatrix:sw@{tmp_path}", "en", "sw")
    assert (found.queries, found.corpus, found.qrels) == ({"9": "Nile"}, {"44": "Mto Nile"}, {"9": {"44": 5}})


@pytest.mark.parametrize("split", ["", ":test-a"])
def test_ciral(tmp_path, split):
    own = split.lstrip(":") or "test-b"
    put(tmp_path / f"ciral-somali/topics/topics.ciral-v1.0-so-{own}.tsv", "3\tWho?\n")
    put(tmp_path / f"ciral-somali/qrels/qrels.ciral-v1.0-so-{own}.tsv", "3 Q0 BBC#1 1\n")
    rows = [{"docid": "BBC#1", "title": "Waa kuma", "text": "qoraal", "url": "x"}]
    put(tmp_path / "passages-v1.0/somali_passages.jsonl", rows)
    found = read_retrieval_set(f"ciral:so{split}@{tmp_path}", "en", "so", use_titles=True)
    assert found.corpus == {"BBC#1": "Waa kuma qoraal"}


def test_wikiclir(tmp_path):
    put(tmp_path / "wiki-clir/english/wiki_en.queries", "1\tNile\ta river\n2\tRice\ta crop\n")
    put(tmp_path / "wiki-clir/tagalog/en2tl.rel", "1\t70\t2\n1\t71\t1\n")
    put(tmp_path / "wiki-clir/tagalog/wiki_tl.documents", "70\tNilo\tilog\n71\tEhipto\tbansa\n")
    found = read_retrieval_set(f"wikiclir:tl@{tmp_path}", "en", "tl", use_titles=True)
    assert found.queries == {"1": "a river"}  # without the words of the title
    assert found.corpus == {"70": "Nilo ilog", "71": "Ehipto bansa"}
    assert found.qrels == {"1": {"70": 2, "71": 1}}


@pytest.mark.parametrize("name", ["sw.en.test1.base.jl.gz", "sw.en.test1.jl.gz"])
def test_clirmatrix(tmp_path, name):
    put(tmp_path / name, [{"src_id": "8", "src_query": "mto", "tgt_results": [["70", 6], ["71", 0]]}])
    put(tmp_path / "DOCS/en.tsv.gz", "70\tA river\n71\tA crop\n")
    found = read_retrieval_set(f"clirmatrix:sw-en@{tmp_path}", "sw")
    assert (found.queries, found.qrels) == ({"8": "mto"}, {"8": {"70": 6, "71": 0}})


def test_a_judged_document_that_a_copy_lacks_is_named(tmp_path):
    put(tmp_path / "sw.en.test1.jl.gz", [{"src_id": "8", "src_query": "mto", "tgt_results": [["70", 6], ["99", 5]]}])
    put(tmp_path / "en.tsv.gz", "70\tA river\n")
    with pytest.raises(InputError, match="documents that do not exist: '99'"):
        read_retrieval_set(f"clirmatrix:sw-en@{tmp_path}", "sw")
    assert read_retrieval_set(f"clirmatrix:sw-en@{tmp_path}", "sw", on_problem="warn").qrels == {"8": {"70": 6}}


def test_a_set_is_converted_once_and_again_when_the_copy_changes(tmp_path):
    xquad(tmp_path / "copy", "en")
    first = retrieval_folder(f"xquad_r:en@{tmp_path / 'copy'}")
    before = (first / "source.json").stat().st_mtime_ns
    assert retrieval_folder(f"xquad_r:en@{tmp_path / 'copy'}") == first
    assert (first / "source.json").stat().st_mtime_ns == before
    put(tmp_path / "copy" / "en.json", squad([(["Other."], [("q9", "new?", 0)])]))
    assert read_retrieval_set(f"xquad_r:en@{tmp_path / 'copy'}", "en").queries == {"q9": "new?"}


def test_a_folder_of_the_same_name_wins(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "belebele" / "corpus.en.jsonl", [{"id": "d", "text": "x"}])
    put(tmp_path / "belebele" / "queries.sw.jsonl", [{"id": "q", "text": "y"}])
    put(tmp_path / "belebele" / "qrels.sw.trec", "q 0 d 1\n")
    assert read_retrieval_set("belebele", "sw").name == "belebele"


@pytest.mark.parametrize(
    ("reference", "match"),
    [
        ("miracl:so", r"miracl has no som_Latn; it has arb_Arab.*write miracl:LANGUAGE"),
        ("miracl", "no language is given"),
        ("ciral:so+sw", "found 2 languages, but each has its own queries"),
        ("clirmatrix:sw", "found 'sw' where a pair of languages is expected"),
        ("xquad_r:en:a:b", "found 3 parts"),
        ("belebele:nosuchtongue", "unknown language 'nosuchtongue'"),
        ("xquad_r@nowhere", "nowhere: there is no such folder"),
        # Nothing can be fetched here: one error that says what to do.
        ("belebele:sw", r"belebele: .*cannot be reached \(\w+.*give the folder as belebele@FOLDER"),
        ("xquad_r:de", r"google-research-datasets/xquad_r.*cannot be reached .*xquad_r@FOLDER"),
        ("miracl:sw", r"cannot be reached .*a token if the set needs one"),
        ("someone/something", r"there is no folder of this name, and .*someone/something cannot be reached"),
    ],
)
def test_references_that_cannot_be_read(reference, match):
    with pytest.raises(InputError, match=match):
        retrieval_folder(reference)


def test_copies_that_lack_files_are_named(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"no qrels.miracl-v1.0-sw-dev.tsv in this copy of miracl"):
        retrieval_folder(f"miracl:sw@{tmp_path / 'empty'}")
    for place in ("a", "b"):
        put(tmp_path / "twice" / place / "en.json", "{}")
    with pytest.raises(InputError, match=r"the folder has 2 files en\.json"):
        retrieval_folder(f"mlqa_r:en@{tmp_path / 'twice'}")
    put(tmp_path / "bad" / "eng_Latn.jsonl", [{"link": "x", "question": "y"}])
    with pytest.raises(InputError, match=r"eng_Latn.jsonl, row 1: the columns question_number, flores_passage"):
        retrieval_folder(f"belebele:en@{tmp_path / 'bad'}")


def test_names_that_are_no_reference_are_folders():
    with pytest.raises(InputError, match="no such folder"):
        read_retrieval_set("not-a-set", "sw")
    assert parse_reference("mteb:NFCorpus").parts == ("NFCorpus",)


def test_the_table_says_where_from_and_under_which_licence():
    assert {"xquad_r", "mlqa_r", "miracl", "mmarco", "clirmatrix", "africlirmatrix", "afriqa", "ciral"} < set(SETS)
    assert {"belebele", "wikiclir"} < set(SETS)
    for item in SETS.values():
        assert item.licence and item.citation and item.page.startswith("https://")
