from __future__ import annotations

import gzip
import json
import logging

import pytest

from hf_optical.data.retrieval import read_retrieval_set, retrieval_languages
from hf_optical.errors import InputError

DOCUMENTS = [
    {"_id": "d1", "title": "Nile", "text": "A river."},
    {"_id": "d2", "title": "Rice", "text": "Rice is a crop."},
]
QUERIES = [{"_id": "q1", "text": "Mto ni nini?"}, {"_id": "q2", "text": "Mchele ni nini?"}]
ENGLISH = [{"_id": "q1", "text": "What is a river?"}, {"_id": "q2", "text": "What is rice?"}]
QRELS = "q1 0 d1 1\nq2 0 d2 1\n"


def put(folder, **files):
    """Write files whose names have ``__`` for a full stop; rows become JSONL."""
    for name, content in files.items():
        text = content if isinstance(content, str) else "".join(json.dumps(row) + "\n" for row in content)
        path = folder / name.replace("__", ".")
        path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return folder


@pytest.fixture
def folder(tmp_path):
    return put(tmp_path, corpus__en__jsonl__gz=DOCUMENTS, queries__sw__jsonl=QUERIES, qrels__sw__trec=QRELS)


def test_a_tagged_folder(folder):
    found = read_retrieval_set(folder, "swa", "en")
    assert (found.name, found.query_language, found.document_language) == (folder.name, "swh_Latn", "eng_Latn")
    assert found.queries == {"q1": "Mto ni nini?", "q2": "Mchele ni nini?"}
    assert found.corpus == {"d1": "A river.", "d2": "Rice is a crop."}
    assert found.qrels == {"q1": {"d1": 1}, "q2": {"d2": 1}}
    assert found.english_queries is None
    expected = {"queries": ("swh_Latn",), "documents": ("eng_Latn",), "qrels": ("swh_Latn",), "untagged": ()}
    assert retrieval_languages(folder) == expected


def test_a_folder_without_languages_in_the_beir_layout(tmp_path, caplog):
    queries = [*QUERIES, {"_id": "q3", "text": "Swali la mafunzo"}]
    put(tmp_path, corpus__jsonl=DOCUMENTS, queries__jsonl=queries)
    (tmp_path / "qrels").mkdir()
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\nq2\td2\t1\n")
    with caplog.at_level(logging.INFO):
        found = read_retrieval_set(tmp_path, "sw", name="mine")
    assert found.name == "mine"
    assert found.qrels == {"q1": {"d1": 2, "d2": 0}, "q2": {"d2": 1}}
    assert "1 queries are not judged in test.tsv" in caplog.text
    assert retrieval_languages(tmp_path)["untagged"] == ("queries", "documents", "qrels")


def test_titles_are_an_option(folder):
    found = read_retrieval_set(folder, "sw", use_titles=True)
    assert found.corpus == {"d1": "Nile A river.", "d2": "Rice is a crop."}


def test_english_wording_from_a_file_or_a_field(folder):
    put(folder, queries__eng_Latn__jsonl=ENGLISH)
    expected = {"q1": "What is a river?", "q2": "What is rice?"}
    assert read_retrieval_set(folder, "sw").english_queries == expected
    (folder / "queries.eng_Latn.jsonl").unlink()
    put(
        folder,
        queries__sw__jsonl=[{**row, "text_en": other["text"]} for row, other in zip(QUERIES, ENGLISH, strict=True)],
    )
    assert read_retrieval_set(folder, "sw").english_queries == expected


def test_part_of_the_english_wording_is_not_used(folder, caplog):
    put(folder, queries__en__jsonl=ENGLISH[:1])
    assert read_retrieval_set(folder, "sw").english_queries is None
    assert "only 1 of 2 queries have an English wording" in caplog.text


def test_judgements_for_all_languages_may_cover_more(folder, caplog):
    (folder / "qrels.sw.trec").unlink()
    put(folder, qrels__all__trec=QRELS + "q9 0 d1 1\n")
    with caplog.at_level(logging.INFO):
        assert len(read_retrieval_set(folder, "sw").qrels) == 2
    assert "1 judgements concern queries that this language lacks" in caplog.text


def test_the_own_judgements_of_a_language_win(folder):
    put(folder, qrels__all__trec="q1 0 d2 1\nq2 0 d2 1\n")
    assert read_retrieval_set(folder, "sw").qrels["q1"] == {"d1": 1}


PROBLEMS = {
    "a judgement of no document": (
        {"qrels__sw__trec": QRELS + "q1 0 d9 1\n"},
        r"judgements of documents that do not exist: 'd9' \(row 3\) \(1 in all\)",
    ),
    "a judgement of no query": (
        {"qrels__sw__trec": QRELS + "q9 0 d1 1\n"},
        r"queries that do not exist: 'q9' \(row 3\)",
    ),
    "an empty document": (
        {"corpus__en__jsonl__gz": [*DOCUMENTS, {"_id": "d3", "text": " \u200b"}]},
        r"empty text: 'd3' \(row 3\)",
    ),
    "an empty query": ({"queries__sw__jsonl": [*QUERIES, {"_id": "q3", "text": ""}]}, r"empty text: 'q3' \(row 3\)"),
    "a query without judgement": (
        {"queries__sw__jsonl": [*QUERIES, {"_id": "q3", "text": "x"}]},
        "queries without a positive judgement: 'q3'",
    ),
    "a query graded zero": (
        {"queries__sw__jsonl": [*QUERIES, {"_id": "q3", "text": "x"}], "qrels__sw__trec": QRELS + "q3 0 d1 0\n"},
        "queries without a positive judgement: 'q3'",
    ),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_inconsistencies_stop_or_are_left_out_with_a_warning(folder, name, caplog):
    files, match = PROBLEMS[name]
    put(folder, **files)
    with pytest.raises(InputError, match=match):
        read_retrieval_set(folder, "sw")
    found = read_retrieval_set(folder, "sw", on_problem="warn")
    assert set(found.queries) == set(found.qrels) == {"q1", "q2"}
    assert set(found.corpus) == {"d1", "d2"}
    assert "left out" in caplog.text


@pytest.mark.parametrize(
    ("files", "match"),
    [
        (
            {"corpus__en__jsonl__gz": [*DOCUMENTS, DOCUMENTS[0]]},
            "row 3, field '_id': the identifier 'd1' is also that of row 1",
        ),
        ({"queries__sw__jsonl": [*QUERIES, QUERIES[1]]}, "row 3, field '_id': .*'q2' is also that of row 2"),
        ({"queries__sw__jsonl": [{"text": "x"}]}, "row 1, field 'id': found only text where an identifier"),
        ({"queries__sw__jsonl": [{"id": 1.5, "text": "x"}]}, "found 1.5 where an identifier"),
        ({"queries__sw__jsonl": [{"id": "q1"}]}, "row 1, field 'text': the field is missing"),
        ({"queries__sw__jsonl": [{"id": "q1", "text": 3}]}, r"row 1, field 'text': found 3 \(int\)"),
        ({"queries__sw__jsonl": '{"id": \n'}, "row 1: invalid JSON"),
        ({"queries__sw__jsonl": ""}, "the file is empty"),
        ({"qrels__sw__trec": ""}, "the file is empty"),
        ({"qrels__sw__trec": "q1 0 d1 0\nq2 0 d2 0\n"}, "no judgement is positive"),
        ({"qrels__sw__trec": "x 0 y 1\n"}, "no judgement concerns a query and a document"),
        ({"qrels__sw__trec": QRELS + "q1 d1\n"}, "row 3: found 2 columns: 'q1 d1'.*TREC"),
        ({"qrels__sw__trec": QRELS + "q1 0 d2 x\n"}, "row 3, field 'grade': found 'x' where an integer"),
        ({"qrels__sw__trec": QRELS + "q1 0 d2 0.5\n"}, "found '0.5' where an integer"),
        ({"qrels__sw__trec": QRELS + "q1 0 d1 2\n"}, "row 3: the grade is 2 for a pair that row 1 grades 1"),
        ({"queries__swa__jsonl": QUERIES}, "is for the same language"),
        ({"queries__sw__jsonl__gz": QUERIES}, "is for the same language"),
    ],
)
def test_what_cannot_be_read_always_stops(folder, files, match):
    put(folder, **files)
    with pytest.raises(InputError, match=match):
        read_retrieval_set(folder, "sw", on_problem="warn")


def test_languages_that_are_not_there_name_those_that_are(folder):
    with pytest.raises(InputError, match=r"no queries in Somali \(som_Latn\); languages that exist: swh_Latn"):
        read_retrieval_set(folder, "so")
    with pytest.raises(InputError, match=r"no documents in Swahili \(swh_Latn\); languages that exist: eng_Latn"):
        read_retrieval_set(folder, "sw", "sw")
    (folder / "qrels.sw.trec").rename(folder / "qrels.so.trec")
    with pytest.raises(InputError, match=r"no judgements \(qrels\) in Swahili .*: som_Latn"):
        read_retrieval_set(folder, "sw")


def test_folders_that_are_none(tmp_path, folder):
    with pytest.raises(InputError, match="no such folder"):
        read_retrieval_set(tmp_path / "missing", "sw")
    (folder / "corpus.en.jsonl.gz").unlink()
    (folder / "qrels.sw.trec").unlink()
    with pytest.raises(InputError, match="no corpus and no qrels file"):
        retrieval_languages(folder)


def test_tags_that_are_no_language_are_left_out_with_a_warning(folder, caplog):
    put(folder, queries__backup__jsonl=QUERIES)
    assert retrieval_languages(folder)["queries"] == ("swh_Latn",)
    assert "queries.backup.jsonl is not read" in caplog.text


def test_integer_identifiers_and_white_space_in_tsv(tmp_path):
    put(
        tmp_path,
        corpus__jsonl=[{"id": 1, "text": "A river."}],
        queries__jsonl=[{"id": "my query", "text": "Mto?"}],
        qrels__tsv="my query\t1\t1\n",
    )
    assert read_retrieval_set(tmp_path, "sw").qrels == {"my query": {"1": 1}}


SETS = {
    "ntrex_bitext": ("sw", 1003, 1003, False),
    "ntrex_passage": ("so", 238, 245, False),
    "ntrex_doc": ("tl", 63, 63, True),
    "afriqa": ("ig", 234, 2659, True),
    "xquad_r": ("mr", 623, 120, True),
    "xorqa_in": ("hi", 474, 1524, False),
    "squad_en": ("en", 1293, 171, True),
}


@pytest.mark.real
@pytest.mark.parametrize("name", SETS)
def test_real_sets_need_no_options(shared_data, name):
    language, queries, documents, english = SETS[name]
    folder = shared_data / "eval" / name
    if not folder.is_dir():
        pytest.skip(f"{name} is not in {shared_data}")
    found = read_retrieval_set(folder, language)
    assert (len(found.queries), len(found.corpus)) == (queries, documents)
    assert set(found.qrels) == set(found.queries)
    assert all(any(grade > 0 for grade in grades.values()) for grades in found.qrels.values())
    assert (found.english_queries is not None) == english
    for code in retrieval_languages(folder)["queries"]:
        assert read_retrieval_set(folder, code).query_language == code
