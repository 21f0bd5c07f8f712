from __future__ import annotations

import pytest

from hf_optical.data.text_rows import read_text_rows
from hf_optical.errors import InputError


@pytest.mark.parametrize(
    ("name", "content", "first"),
    [
        ("rows.tsv", "id\ttext\n1\tthe goat\n2\tmbuzi\n", 2),
        ("rows.csv", 'id,text\n1,"the goat"\n2,mbuzi\n', 2),
        ("rows.jsonl", '{"id": "1", "text": "the goat"}\n{"id": "2", "text": "mbuzi"}\n', 1),
    ],
)
def test_rows_by_name_whatever_the_format(tmp_path, name, content, first):
    (tmp_path / name).write_text(content)
    assert read_text_rows(tmp_path / name, others=["id"]) == [
        (first, {"id": "1", "text": "the goat"}),
        (first + 1, {"id": "2", "text": "mbuzi"}),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id\ttext\n1\n", "row 2: found 1 column"),
        ("id\ttext\n1\tgoat\n2\t \n", "row 3, field 'text'"),
        ("id\twords\n1\tgoat\n", "field 'text': there is no such column; found id, words"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, content, message):
    (tmp_path / "rows.tsv").write_text(content)
    with pytest.raises(InputError, match=message):
        read_text_rows(tmp_path / "rows.tsv")


def test_other_columns_must_be_there(tmp_path):
    (tmp_path / "rows.tsv").write_text("text\ngoat\n")
    with pytest.raises(InputError, match="field 'id'"):
        read_text_rows(tmp_path / "rows.tsv", others=["id"])
