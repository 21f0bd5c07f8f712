"""Files of pairs that are not what they should be."""

from __future__ import annotations

import io
import pickle

import pyarrow as pa
import pyarrow.parquet as pq
from bad_input import Bad, Flags, Place, jsonl, packed, tsv


def _file(name: str, content: str | bytes, **flags: str | None):
    def make(place: Place) -> Flags:
        return {"bitext": place.file(name, content), **flags}

    return make


def _row(name: str, row: object, *says: str) -> Bad:
    """A row of JSON, or a raw line, after the sound ones."""
    return Bad(f"bitext_json_{name}", ("pairs.jsonl", "row 25", *says), _file("pairs.jsonl", jsonl(row)))


def _parquet(**columns: list) -> bytes:
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream)
    return stream.getvalue()


def _folder(place: Place) -> Flags:
    (place.folder / "pairs.tsv").mkdir()
    return {"bitext": place.path("pairs.tsv")}


def _loop(place: Place) -> Flags:
    (place.folder / "pairs.tsv").symlink_to(place.folder / "pairs.tsv")
    return {"bitext": place.path("pairs.tsv")}


class _Harmful:
    def __reduce__(self):
        return (print, ("a pickle was run",))


_POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 12345\n"
_ROW = "row 26"  # after the sound ones in a TSV with a header

CASES = [
    Bad("bitext_utf16_cut", ("pairs.tsv", "UTF-16"), _file("pairs.tsv", tsv().encode("utf-16")[:-1])),
    Bad("bitext_utf16_unmarked", ("pairs.tsv", "row 1", "NUL"), _file("pairs.tsv", tsv().encode("utf-16-le"))),
    Bad("bitext_bom_alone", ("pairs.tsv", "empty"), _file("pairs.tsv", b"\xef\xbb\xbf")),
    Bad(
        "bitext_latin1",
        ("pairs.tsv", _ROW, "'sw'", "invalid UTF-8", "0xE9"),
        _file("pairs.tsv", tsv().encode() + "the caf\tcaf\xe9\n".encode("latin-1")),
    ),
    Bad("bitext_nul", ("pairs.tsv", _ROW, "'en'", "NUL"), _file("pairs.tsv", tsv("the\0goat\tmbuzi"))),
    Bad("bitext_gzip_cut", ("pairs.tsv.gz", "gzip", "damaged"), _file("pairs.tsv.gz", packed(tsv())[:-40])),
    Bad(
        "bitext_gzip_corrupt",
        ("pairs.tsv.gz", "gzip", "damaged"),
        _file("pairs.tsv.gz", packed(tsv())[:30] + b"\0\0\0\0" + packed(tsv())[34:]),
    ),
    Bad(
        "bitext_gzip_not",
        ("pairs.jsonl.gz", "zip archive"),
        _file("pairs.jsonl.gz", b"\x50\x4b\x03\x04 not gzip\n" * 9),
    ),
    _row("cut", '{"en": "the goat"', "invalid JSON"),
    _row("list", ["the goat", "mbuzi"], "object"),
    _row("nested", {"en": "the goat", "sw": ["mbuzi"]}, "'sw'", "list"),
    _row("number", {"en": "the goat", "sw": 7}, "'sw'", "found 7 (int)"),
    _row("nan", '{"en": "the goat", "sw": NaN}', "'sw'", "nan (float)"),
    _row("null", {"en": None, "sw": "mbuzi"}, "'en'", "null"),
    _row("field_missing", {"en": "the goat", "other": "mbuzi"}, "'sw'", "missing", "other"),
    _row("field_twice", '{"en": "the goat", "sw": "mbuzi", "sw": "mbwa"}', "twice", "'sw'"),
    _row("surrogate", '{"en": "the goat", "sw": "mbuzi \\ud800"}', "'sw'", "surrogate"),
    _row("deep", "[" * 20_000, "invalid JSON"),
    Bad("bitext_json_file_cut", ("pairs.json", "invalid JSON"), _file("pairs.json", '[{"en": "the goat", "sw"')),
    Bad("bitext_json_numbers", ("pairs.json", "row 1", "object"), _file("pairs.json", "[1, 2, 3]")),
    Bad("bitext_empty", ("pairs.tsv", "empty"), _file("pairs.tsv", b"")),
    Bad("bitext_header_only", ("pairs.tsv", "no row is left"), _file("pairs.tsv", "en\tsw\n")),
    Bad("bitext_blank_lines", ("pairs.tsv", "empty"), _file("pairs.tsv", "\n\n\n")),
    Bad("bitext_one_column", ("pairs.tsv", "two columns"), _file("pairs.tsv", "en\nthe goat\nthe dog\n")),
    Bad("bitext_web_page", ("pairs.tsv", "web page"), _file("pairs.tsv", "<!DOCTYPE html>\n<html>Not found</html>\n")),
    Bad("bitext_git_pointer", ("pairs.jsonl", "git lfs pull"), _file("pairs.jsonl", _POINTER)),
    Bad(
        "bitext_three_columns",
        ("pairs.tsv", "'en'", "'english'", "source_field"),
        _file("pairs.tsv", "en\tenglish\tsw\na dog\ta dog\tmbwa\n"),
    ),
    Bad("bitext_no_such_column", ("pairs.tsv", "'swahili'"), _file("pairs.tsv", tsv(), translation_field="swahili")),
    Bad(
        "bitext_one_column_twice",
        ("pairs.tsv", "'en'", "both sides"),
        _file("pairs.tsv", tsv(), source_field="en", translation_field="en"),
    ),
    Bad("bitext_header_twice", ("pairs.tsv", "row 1", "'sw'"), _file("pairs.tsv", "en\tsw\tsw\na\tb\tc\n")),
    Bad(
        "bitext_header_or_pair", ("pairs.tsv", "row 1", "header or a pair"), _file("pairs.tsv", "en\tmbuzi\nthe\tmti\n")
    ),
    Bad("bitext_text_empty", ("pairs.tsv", _ROW, "'sw'", "empty"), _file("pairs.tsv", tsv("the goat\t"))),
    Bad("bitext_text_spaces", ("pairs.tsv", _ROW, "'en'", "empty"), _file("pairs.tsv", tsv(" \u00a0 \tmbuzi"))),
    Bad(
        "bitext_text_invisible",
        ("pairs.tsv", _ROW, "'sw'", "invisible", "U+200B"),
        _file("pairs.tsv", tsv("the goat\t\u200b\ufeff")),
    ),
    Bad("bitext_line_empty", ("pairs.tsv", _ROW, "empty"), _file("pairs.tsv", tsv("", "the goat\tmbuzi"))),
    Bad("bitext_row_short", ("pairs.tsv", _ROW, "1 column"), _file("pairs.tsv", tsv("the goat"))),
    Bad("bitext_row_long", ("pairs.tsv", _ROW, "3 columns"), _file("pairs.tsv", tsv("the goat\tmbuzi\tmbuzi"))),
    Bad(
        "bitext_csv_open_quote",
        ("pairs.csv", "row 3", "invalid CSV"),
        _file("pairs.csv", 'en,sw\nthe dog,mbwa\n"the goat,mbuzi\nthe tree,mti\n'),
    ),
    Bad("bitext_parquet_cut", ("pairs.parquet", "Parquet"), _file("pairs.parquet", _parquet(en=["a"], sw=["b"])[:-9])),
    Bad(
        "bitext_parquet_numbers",
        ("pairs.parquet", "row 1", "'sw'", "int"),
        _file("pairs.parquet", _parquet(en=["the goat"], sw=[5])),
    ),
    Bad(
        "bitext_parquet_latin1",
        ("pairs.parquet", "row 2", "cannot be read"),
        _file("pairs.parquet", _parquet(en=["a", "the cafX"], sw=["b", "c"]).replace(b"cafX", b"caf\xe9")),
    ),
    Bad("bitext_parquet_no_rows", ("pairs.parquet", "empty"), _file("pairs.parquet", _parquet(en=[], sw=[]))),
    Bad("bitext_folder", ("pairs.tsv", "folder"), _folder),
    Bad("bitext_link_to_itself", ("pairs.tsv", "no such file"), _loop),
    Bad("bitext_nowhere", ("nowhere.tsv", "no such file"), lambda place: {"bitext": place.path("nowhere.tsv")}),
    Bad(
        "bitext_pickle_as_jsonl",
        ("pairs.jsonl", "row 1", "invalid JSON"),
        _file("pairs.jsonl", pickle.dumps(_Harmful(), protocol=0)),
    ),
    Bad("bitext_pickle", ("pairs.pkl", "'.pkl'", ".jsonl"), _file("pairs.pkl", pickle.dumps(_Harmful(), protocol=0))),
    Bad("bitext_zip", ("pairs.zip", "'.zip'"), _file("pairs.zip", b"PK\x05\x06" + 18 * b"\0")),
]
