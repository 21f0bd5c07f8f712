from __future__ import annotations

import json

import pytest

from hf_optical.data.identifiers import identifier_of
from hf_optical.data.query_passages import read_query_passages
from hf_optical.data.retrieval import read_retrieval_set
from hf_optical.data.search_documents import read_search_documents
from hf_optical.errors import InputError


@pytest.mark.parametrize(
    ("row", "found"),
    [
        ({"id": "a"}, "a"), ({"_id": "b", "id": "a"}, "b"), ({"id": 0}, "0"), ({"id": 7}, "7"), ({"id": 7.0}, "7"),
        ({"_id": " c "}, " c "),
    ],
)  # fmt: skip
def test_what_is_an_identifier(row, found):
    assert identifier_of(row, None, 1) == found


WRONG = [
    {"id": None},
    {"id": ""},
    {"id": "  "},
    {"id": [1]},
    {"id": {"a": 1}},
    {"id": True},
    {"id": 1.5},
    {"name": "a"},
]


@pytest.mark.parametrize("row", WRONG)
def test_what_is_none_is_named_in_search_and_in_retrieval_sets(tmp_path, row):
    rows = [{"id": "first", "text": "The goat."}, {**row, "text": "The dog."}]
    content = "".join(json.dumps(each) + "\n" for each in rows)
    for name in ("docs.jsonl", "corpus.en.jsonl"):
        (tmp_path / name).write_text(content)
    (tmp_path / "queries.sw.jsonl").write_text('{"id": "q", "text": "mbuzi"}\n')
    (tmp_path / "qrels.sw.trec").write_text("q 0 first 1\n")
    for read in (
        lambda: read_search_documents(tmp_path / "docs.jsonl"),
        lambda: read_retrieval_set(tmp_path, "sw"),
    ):
        with pytest.raises(InputError, match=r"row 2, field 'id': found .* where an identifier is expected"):
            read()


@pytest.mark.parametrize("suffix", [".jsonl", ".tsv", ".csv"])
def test_documents_of_beir_and_of_tables(tmp_path, suffix):
    rows = [{"_id": "d1", "title": "T", "text": "ajá"}, {"_id": "7", "title": "", "text": 'The dog, a "good" one.'}]
    path = tmp_path / f"docs{suffix}"
    if suffix == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif suffix == ".tsv":
        path.write_text("_id\ttitle\ttext\n" + "".join("\t".join(row.values()) + "\n" for row in rows))
    else:
        path.write_text('_id,title,text\nd1,T,aja\u0301\n7,,"The dog, a ""good"" one."\n')
    assert read_search_documents(path) == {row["_id"]: row["text"] for row in rows}


def test_documents_in_shards_share_one_space_of_identifiers(tmp_path):
    (tmp_path / "docs").mkdir()
    for number, name in enumerate(("a", "b")):
        (tmp_path / "docs" / f"part-{number}.jsonl").write_text(json.dumps({"id": name, "text": "x y"}) + "\n")
    assert list(read_search_documents(tmp_path / "docs")) == ["a", "b"]
    (tmp_path / "docs" / "part-2.jsonl").write_text(json.dumps({"id": "a", "text": "z"}) + "\n")
    with pytest.raises(InputError, match="identifier 'a' occurs twice"):
        read_search_documents(tmp_path / "docs")


def test_a_document_of_two_hundred_thousand_characters(tmp_path):
    (tmp_path / "d.csv").write_text('id,text\n1,"' + "goat " * 40_000 + '"\n')
    assert len(read_search_documents(tmp_path / "d.csv")["1"]) == 200_000


def test_the_id_zero_is_an_id_and_questions_are_the_column_of_text(tmp_path):
    rows = [{"id": 0, "query": "q-17", "question": "Who sleeps?", "passage": "The goat sleeps."}] * 2
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = read_query_passages(tmp_path / "p.jsonl", "mono/eng_Latn")
    assert found.ids == ["0", "0"] and found.rows["query"] == ["Who sleeps?"] * 2
    (tmp_path / "b.jsonl").write_text(json.dumps({"id": True, "query": "Who?", "passage": "The goat."}) + "\n")
    with pytest.raises(InputError, match="found True where an identifier"):
        read_query_passages(tmp_path / "b.jsonl", "mono/eng_Latn")
