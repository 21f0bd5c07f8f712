"""Questions and passages from files."""

from __future__ import annotations

import json

import pytest

from hf_optical.data.query_passages import read_query_passages
from hf_optical.errors import InputError


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_the_language_in_the_name_of_the_set_chooses_among_columns(tmp_path):
    row = {"id": "a1", "question": "Nani?", "question_en": "Who?", "passage_en": "Asha."}
    file = write(tmp_path / "clir.jsonl", [row])
    assert read_query_passages(file, "cross/swh_Latn-eng_Latn").rows[0] == {"query": "Nani?", "passage": "Asha."}
    assert read_query_passages(file, "mono/eng_Latn").rows[0] == {"query": "Who?", "passage": "Asha."}


def test_ids_are_those_of_the_file_and_else_unlike_those_of_other_files(tmp_path):
    named = write(tmp_path / "named.jsonl", [{"id": 7, "query": "q", "passage": "p"}])
    unnamed = write(tmp_path / "unnamed.jsonl", [{"query": "q", "passage": "p"}] * 2)
    assert read_query_passages(named, "mono/eng_Latn").ids == ["7"]
    assert read_query_passages(unnamed, "mono/eng_Latn").ids == ["unnamed.jsonl:1", "unnamed.jsonl:2"]


def test_tables_with_a_header_are_read(tmp_path):
    (tmp_path / "pairs.tsv").write_text("query\tpassage\nWho?\tAsha.\n", encoding="utf-8")
    assert read_query_passages(tmp_path / "pairs.tsv", "mono/eng_Latn").rows[0] == {"query": "Who?", "passage": "Asha."}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"query": "q", "passage": "p"}, {"query": " ", "passage": "p"}], r"row 2.*query"),
        ([{"query": "q", "passage": "p"}, {"query": "q"}], r"row 2.*passage"),
        ([{"query": "q", "answers": "p"}], "no column looks like the passage"),
        ([], "empty|no row"),
    ],
    ids=["empty query", "missing passage", "no passage column", "empty file"],
)
def test_bad_rows_are_named(tmp_path, rows, message):
    with pytest.raises(InputError, match=message):
        read_query_passages(write(tmp_path / "bad.jsonl", rows), "mono/eng_Latn")


def test_bad_names_are_named(tmp_path):
    file = write(tmp_path / "pairs.jsonl", [{"query": "q", "passage": "p"}])
    with pytest.raises(InputError, match="name it mono/"):
        read_query_passages(file, "bitext/eng_Latn-swh_Latn")
    with pytest.raises(InputError, match="no such file"):
        read_query_passages(tmp_path / "absent.jsonl", "mono/eng_Latn")
    with pytest.raises(InputError, match="query_field"):
        read_query_passages(file, "mono/eng_Latn", query_field="question")


def test_titles_stand_before_passages_where_asked(tmp_path):
    file = tmp_path / "questions.jsonl"
    rows = [
        {"id": 1, "question": "Where?", "passage": "It lies in the west.", "title": "Lake Kivu"},
        {"id": 2, "question": "Who?", "passage": "Asha sings.", "title": None},
    ]
    file.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    read = read_query_passages(file, "mono/eng_Latn", use_titles=True)
    assert list(read.rows["passage"]) == ["Lake Kivu It lies in the west.", "Asha sings."]
    assert read_query_passages(file, "mono/eng_Latn").rows[0]["passage"] == "It lies in the west."
