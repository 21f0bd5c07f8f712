from __future__ import annotations

import gzip
import hashlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hf_optical.data.fingerprint import file_fingerprint
from hf_optical.errors import InputError


def test_files(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"a": 1}\n\n{"a": 2}'))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert file_fingerprint(path) == {"path": "a.jsonl.gz", "rows": 2, "sha256": digest}
    (tmp_path / "model.bin").write_bytes(b"\n\n")
    assert file_fingerprint(tmp_path / "model.bin")["rows"] is None
    (tmp_path / "empty.tsv").write_bytes(b"")
    assert file_fingerprint(str(tmp_path / "empty.tsv"))["rows"] == 0
    pq.write_table(pa.table({"a": [1, 2, 3]}), tmp_path / "a.parquet")
    assert file_fingerprint(tmp_path / "a.parquet")["rows"] == 3


@pytest.mark.parametrize(
    ("name", "text", "options", "rows"),
    [
        ("a.tsv", "en\tsw\nThe goat sleeps.\tMbuzi analala.\n\n", {}, 1),
        ("a.tsv", "The goat sleeps.\tMbuzi analala.\nA dog.\tMbwa.\n", {}, 2),
        ("a.tsv", "lefty\trighty\nThe goat sleeps.\tMbuzi analala.\n", {}, 2),
        ("a.tsv", "lefty\trighty\nThe goat sleeps.\tMbuzi analala.\n", {"columns": ["lefty"]}, 1),
        ("a.tsv", "en\tThe dog\nThe goat sleeps.\tMbuzi analala.\n", {}, 2),  # a header or a pair
        ("a.csv", 'en,sw\n"The goat\nsleeps, now",Mbuzi\n\nA dog.,Mbwa.\n', {}, 2),
        ("a.csv", "sep=;\nen;sw\nA goat;Mbuzi\n", {}, 1),
        ("a.txt", "en\nThe goat sleeps.\n", {}, 2),
    ],
)
def test_a_header_is_no_row(tmp_path, name, text, options, rows):
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert file_fingerprint(tmp_path / name, **options)["rows"] == rows


def test_folders_depend_on_names_and_content_and_not_on_place(tmp_path):
    for place in ("one", "two"):
        (tmp_path / place / "set" / "sub").mkdir(parents=True)
        (tmp_path / place / "set" / "a.txt").write_text("a")
        (tmp_path / place / "set" / "sub" / "b.txt").write_text("b")
    first = file_fingerprint(tmp_path / "one" / "set")
    assert first == file_fingerprint(tmp_path / "two" / "set")
    assert (first["path"], first["rows"]) == ("set", None)
    (tmp_path / "two" / "set" / ".hidden").write_text("x")
    assert first == file_fingerprint(tmp_path / "two" / "set")
    (tmp_path / "two" / "set" / "sub" / "b.txt").rename(tmp_path / "two" / "set" / "sub" / "c.txt")
    assert first != file_fingerprint(tmp_path / "two" / "set")


def test_what_is_not_there(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        file_fingerprint(tmp_path / "missing")
