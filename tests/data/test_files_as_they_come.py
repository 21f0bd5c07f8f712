"""Files as people have them: what pandas, Moses, datasets and ``cat`` make of pairs."""

from __future__ import annotations

import gzip
import json
import logging

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hf_optical.data.bitext import read_bitext
from hf_optical.data.contexts import read_documents
from hf_optical.data.lexicon import read_lexicon
from hf_optical.data.pairs import PairReport
from hf_optical.data.query_passages import read_query_passages
from hf_optical.data.shards import shards
from hf_optical.data.text_rows import read_text_rows
from hf_optical.errors import InputError

PAIRS = [
    ("The goat sleeps.", "Mbuzi analala."),
    ('She said "wait".', 'Alisema "subiri".'),
    ("Water, cold", "Maji, baridi"),
]
ROWS = [{"en": en, "sw": sw} for en, sw in PAIRS]


def write(folder, name, content):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return path


def pairs(dataset):
    return list(zip(dataset["source"], dataset["translation"], strict=True))


def jsonl(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


@pytest.mark.parametrize(
    "content",
    [
        "\n  " + json.dumps(ROWS),
        json.dumps(ROWS, indent=2),
        json.dumps({"data": ROWS}),
        json.dumps({"data": ROWS}) + "\n\n",
        "{\n" + json.dumps({"version": "1", "data": ROWS})[1:],
        json.dumps({"version": 1, "rows": ROWS}, indent=1),
        json.dumps({"en": [row["en"] for row in ROWS], "sw": [row["sw"] for row in ROWS]}),
        json.dumps({name: {str(i): row[name] for i, row in enumerate(ROWS)} for name in ("en", "sw")}),
        json.dumps({"version": 1, "data": {"en": [row["en"] for row in ROWS], "sw": [row["sw"] for row in ROWS]}}),
        jsonl(ROWS),
        "\ufeff" + jsonl(ROWS),
    ],
)
def test_json_in_any_layout(tmp_path, content):
    assert pairs(read_bitext(write(tmp_path, "a.json", content))) == PAIRS


def test_json_that_is_none_says_where(tmp_path):
    with pytest.raises(InputError, match=r"invalid JSON .*line 2"):
        read_bitext(write(tmp_path, "a.json", '{\n"data": [{"en": "a" "sw": "b"}]}'))
    with pytest.raises(InputError, match="row 2: invalid JSON"):
        read_bitext(write(tmp_path, "b.json", jsonl(ROWS[:1]) + "{broken\n" + jsonl(ROWS)))
    with pytest.raises(InputError, match="row 1: the line is empty"):
        read_bitext(write(tmp_path, "c.jsonl", "\n" + jsonl(ROWS)))


def quoted(cell):
    return '"' + cell.replace('"', '""') + '"' if '"' in cell else cell


def test_cells_that_pandas_quoted_in_a_tsv_lose_its_quotes(tmp_path):
    minimal = "en\tsw\n" + "".join(f"{quoted(en)}\t{quoted(sw)}\n" for en, sw in PAIRS)
    assert '"She said ""wait""."' in minimal
    assert pairs(read_bitext(write(tmp_path, "a.tsv", minimal))) == PAIRS
    every = "".join("\t".join('"' + c.replace('"', '""') + '"' for c in row) + "\n" for row in [("en", "sw"), *PAIRS])
    assert pairs(read_bitext(write(tmp_path, "b.tsv", every))) == PAIRS


@pytest.mark.parametrize("cell", ['"wait" she said', '"wait"', 'say ""wait""', 'an inch"', '"a" and "b"', '""', '"a""'])
def test_quotes_of_a_plain_tsv_are_text(tmp_path, cell):
    path = write(tmp_path, "a.tsv", f"en\tsw\nthe goat\t{cell}\n")
    assert pairs(read_bitext(path)) == [("the goat", cell)]


def test_a_cell_of_several_lines_in_a_tsv_is_an_error_that_says_so(tmp_path):
    with pytest.raises(InputError, match=r"row 2: found 1 column .*several lines in quotes have to be in a .csv"):
        read_bitext(write(tmp_path, "a.tsv", 'en\tsw\n"one\ntwo"\tmoja\n'))


def test_a_header_that_comes_again_is_left_out_and_said(tmp_path, caplog):
    both = "".join(f"{en}\t{sw}\n" for en, sw in [("en", "sw"), PAIRS[0], ("en", "sw"), PAIRS[2]])
    with caplog.at_level(logging.WARNING):
        assert pairs(read_bitext(write(tmp_path, "a.tsv", both))) == [PAIRS[0], PAIRS[2]]
    assert "row 3 repeats the header" in caplog.text
    with pytest.raises(InputError, match="row 3: the row is a header in another order"):
        read_bitext(write(tmp_path, "b.tsv", "en\tsw\nthe goat\tmbuzi\nsw\ten\nmbwa\tthe dog\n"), language="sw")


def test_rows_with_other_names_for_both_sides_are_read_too(tmp_path):
    rows = [*ROWS, {"id": "7", "source": "One goat", "target": "Mbuzi mmoja"}]
    assert pairs(read_bitext(write(tmp_path, "a.jsonl", jsonl(rows)), language="sw"))[-1] == ("One goat", "Mbuzi mmoja")
    with pytest.raises(InputError, match="row 4, field 'sw': the field is missing"):
        read_bitext(write(tmp_path, "b.jsonl", jsonl([*ROWS, {"en": "a", "target": "b"}])), language="sw")


def test_a_long_cell(tmp_path):
    long = "goat " * 40_000
    path = write(tmp_path, "a.csv", f'en,sw\n"{long}",mbuzi\n')
    assert pairs(read_bitext(path)) == [(long, "mbuzi")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("header", [True, False])
def test_csv_is_split_at_what_makes_equal_rows(tmp_path, delimiter, header):
    def cell(text):
        return f'"{text}"'.replace('"wait"', '""wait""').replace('"subiri"', '""subiri""')

    rows = [("en", "sw")] * header + [(cell(en), cell(sw)) for en, sw in PAIRS]
    path = write(tmp_path, "a.csv", "".join(delimiter.join(row) + "\n" for row in rows))
    assert pairs(read_bitext(path)) == PAIRS


def test_semicolons_in_texts_do_not_make_columns_of_a_csv(tmp_path):
    path = write(tmp_path, "a.csv", "en,sw\nwait; come,subiri; njoo\ngo; stay,nenda; kaa\n")
    assert pairs(read_bitext(path)) == [("wait; come", "subiri; njoo"), ("go; stay", "nenda; kaa")]
    unquoted = write(tmp_path, "b.csv", "en;sw\nWater, cold;Maji, baridi\nThe goat;Mbuzi\n")
    assert pairs(read_bitext(unquoted))[0] == ("Water, cold", "Maji, baridi")
    with pytest.raises(InputError, match="row 3: found 3 columns where the first row has 2"):
        read_bitext(write(tmp_path, "c.csv", "en,sw\nthe goat,mbuzi\nwater, cold,maji\n"))


def test_what_excel_says_of_the_separator_is_no_row(tmp_path):
    body = "en;sw\n" + "".join(f"{en.replace(chr(34), '')};{sw.replace(chr(34), '')}\n" for en, sw in PAIRS)
    path = write(tmp_path, "a.csv", "sep=;\n" + body)
    assert pairs(read_bitext(path))[2] == PAIRS[2]
    piped = write(tmp_path, "b.csv", ('"sep=|"\n' + body).replace(";", "|"))
    assert pairs(read_bitext(piped))[2] == PAIRS[2]
    with pytest.raises(InputError, match="row 6: found 1 column where"):
        read_bitext(write(tmp_path, "c.csv", "sep=;\n" + body + "alone\n"))


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (b"PK\x03\x04", "zip archive or a spreadsheet"),
        (b"(\xb5/\xfd\x00", "zstandard"),
        (b"BZh91AY", "bzip2"),
        (b"\xfd7zXZ\x00", "unxz"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"<!DOCTYPE html><html>404</html>", "web page"),
        (b"<html>", "web page"),
    ],
)
@pytest.mark.parametrize("name", ["a.jsonl", "a.tsv", "a.csv", "a.json"])
def test_what_is_no_table_is_known_by_its_first_bytes(tmp_path, start, message, name):
    (tmp_path / name).write_bytes(start)
    with pytest.raises(InputError, match=message):
        read_bitext(tmp_path / name)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
@pytest.mark.parametrize("name", ["a.tsv", "a.csv", "a.jsonl", "a.json", "a.tsv.gz"])
def test_utf16_with_its_mark_is_read_as_what_it_is(tmp_path, encoding, name):
    rows = [*ROWS, {"en": "a\u2028b", "sw": "\U00010330"}]
    if ".json" in name:
        content = jsonl(rows) if name.endswith("l") else json.dumps(rows, ensure_ascii=False)
    else:
        delimiter = "," if "csv" in name else "\t"
        lines = [
            ("en", "sw"),
            *((row["en"], row["sw"]) for row in rows if "," not in row["en"] and '"' not in row["en"]),
        ]
        content = "".join(delimiter.join(line) + "\r\n" for line in lines)
        rows = [row for row in rows if "," not in row["en"] and '"' not in row["en"]]
    mark = "" if encoding in ("utf-16", "utf-32") else "\ufeff"
    data = (mark + content).encode(encoding)
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    assert pairs(read_bitext(tmp_path / name)) == [(row["en"], row["sw"]) for row in rows]
    (tmp_path / name).write_bytes(data[:-1])
    with pytest.raises(InputError, match=r"begins as UTF-(16|32), but is not UTF-\1 further on"):
        read_bitext(tmp_path / name)


def test_a_file_of_a_mark_alone_is_empty(tmp_path):
    for number, mark in enumerate((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"\xff\xfe\x00\x00")):
        (tmp_path / f"{number}.tsv").write_bytes(mark)
        with pytest.raises(InputError, match="the file is empty"):
            read_bitext(tmp_path / f"{number}.tsv")


def test_moses_files_are_found_by_either_name_or_by_what_they_share(tmp_path):
    write(tmp_path, "set.en-sw.en", "".join(en + "\n" for en, _ in PAIRS))
    write(tmp_path, "set.en-sw.sw", "".join(sw + "\n" for _, sw in PAIRS))
    for name in ("set.en-sw.en", "set.en-sw.sw", "set.en-sw"):
        report = PairReport()
        assert pairs(read_bitext(tmp_path / name, language="sw", report=report)) == PAIRS
        assert "set.en-sw.en and set.en-sw.sw" in report.messages[0]
    assert pairs(read_bitext(tmp_path / "set.en-sw.en")) == PAIRS
    assert len(read_lexicon(tmp_path / "set.en-sw", language="sw")) == 3
    write(tmp_path, "set.en-sw.so", "x\n")
    assert pairs(read_bitext(tmp_path / "set.en-sw.en", language="sw")) == PAIRS
    with pytest.raises(InputError, match=r"one partner; found set.en-sw.en, set.en-sw.so, set.en-sw.sw"):
        read_bitext(tmp_path / "set.en-sw.en")


def test_moses_files_of_a_rare_language_packed_and_with_faults(tmp_path):
    (tmp_path / "a.en.gz").write_bytes(gzip.compress(b"the goat\nthe dog\n"))
    (tmp_path / "a.pcm.gz").write_bytes(gzip.compress(b"di goat\ndi dog\n"))
    assert pairs(read_bitext(tmp_path / "a.pcm.gz", language="pcm"))[1] == ("the dog", "di dog")
    write(tmp_path, "b.en", "one\ntwo\nthree\n")
    write(tmp_path, "b.sw", "moja\nmbili\n")
    with pytest.raises(InputError, match=r"b.sw, row 2: ends at line 2, but b.en continues"):
        read_bitext(tmp_path / "b.en", language="sw")
    write(tmp_path, "c.en", "one\n\n")
    write(tmp_path, "c.sw", "moja\nmbili\n")
    with pytest.raises(InputError, match="row 2, field 'source': the text is empty"):
        read_bitext(tmp_path / "c.en", language="sw")
    write(tmp_path, "d.en", "one\n")
    with pytest.raises(InputError, match=r"one partner; found d\.en"):
        read_bitext(tmp_path / "d.en", language="sw")


def test_a_folder_of_shards_is_one_bitext_with_a_header_in_each(tmp_path):
    for number, (en, sw) in enumerate(PAIRS):
        write(tmp_path / "parts", f"part-{number}.tsv", f"sw\ten\n{sw}\t{en}\n" if number else f"en\tsw\n{en}\t{sw}\n")
    write(tmp_path / "parts", "README.md", "about")
    write(tmp_path / "parts", ".part.tsv", "x\ty\n")
    assert pairs(read_bitext(tmp_path / "parts")) == PAIRS
    assert len(read_lexicon(tmp_path / "parts")) == 3
    write(tmp_path / "parts", "more.jsonl", jsonl(ROWS))
    with pytest.raises(InputError, match=r"several formats \(.jsonl, .tsv\)"):
        read_bitext(tmp_path / "parts")


def test_of_a_folder_with_splits_one_is_read(tmp_path):
    for split, rows in (("train", ROWS[:2]), ("test", ROWS[2:])):
        path = tmp_path / "hub" / "data" / f"{split}-00000-of-00001.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows), path)
    assert pairs(read_bitext(tmp_path / "hub")) == PAIRS[:2]
    assert pairs(read_bitext(tmp_path / "hub", split="test")) == PAIRS[2:]
    with pytest.raises(InputError, match="no split 'validation'; it has test, train"):
        shards(tmp_path / "hub", "dev")


def test_saved_datasets_and_arrow_files(tmp_path):
    rows = datasets.Dataset.from_list(ROWS)
    rows.save_to_disk(str(tmp_path / "one"))
    datasets.DatasetDict(train=rows, test=rows.select([0])).save_to_disk(str(tmp_path / "splits"))
    shuffled = rows.select([2, 0])
    shuffled.save_to_disk(str(tmp_path / "selected"))
    assert pairs(read_bitext(tmp_path / "one")) == pairs(read_bitext(tmp_path / "splits")) == PAIRS
    assert pairs(read_bitext(tmp_path / "selected")) == [PAIRS[2], PAIRS[0]]
    assert len(read_bitext(tmp_path / "splits", split="test")) == 1
    (stream,) = (tmp_path / "one").glob("*.arrow")
    assert pairs(read_bitext(stream)) == PAIRS
    table = pa.Table.from_pylist(ROWS)
    with pa.OSFile(str(tmp_path / "file.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as out:
        out.write_table(table)
    assert pairs(read_bitext(tmp_path / "file.arrow")) == PAIRS
    with pytest.raises(InputError, match="not a readable Arrow file"):
        read_bitext(write(tmp_path, "no.arrow", "nothing of the kind"))


def test_without_a_header_no_reader_loses_the_first_row(tmp_path):
    three = write(tmp_path, "three.tsv", "".join(f"s-{i}\t{en}\t{sw}\n" for i, (en, sw) in enumerate(PAIRS)))
    assert pairs(read_bitext(three)) == PAIRS
    two = write(tmp_path, "two.tsv", "".join(f"{en}\t{sw}\n" for en, sw in PAIRS))
    assert pairs(read_bitext(two)) == PAIRS and len(read_lexicon(two)) == 3
    assert read_documents(two, "sw") == []
    for read in (lambda: read_text_rows(two), lambda: read_query_passages(two, "mono/swh_Latn")):
        with pytest.raises(InputError, match="column"):
            read()


def test_a_first_row_of_unknown_single_words_above_sentences_is_doubtful(tmp_path):
    body = "".join(f"The goat sleeps here {i}\tMbuzi analala hapa {i}\n" for i in range(9))
    path = write(tmp_path, "a.tsv", "kiingereza\tmatini\n" + body)
    with pytest.raises(InputError, match="may be a header or a pair"):
        read_bitext(path)
    assert len(read_bitext(path, source_field="kiingereza", translation_field="matini")) == 9
    assert len(read_bitext(path, source_field="1", translation_field="2")) == 10
    words = write(tmp_path, "b.tsv", "goat\tmbuzi\ndog\tmbwa\nwater\tmaji\ntree\tmti\n")
    assert len(read_lexicon(words)) == 4
