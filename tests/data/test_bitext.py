from __future__ import annotations

import csv
import gzip
import io
import json
import os
import pickle
import re
import subprocess
import sys
import unicodedata

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hf_optical.data.bitext import read_bitext
from hf_optical.data.pairs import PairReport
from hf_optical.data.texts import is_blank
from hf_optical.doctor import examine
from hf_optical.errors import InputError

PAIRS = [("Good morning", "Habari ya asubuhi"), ("Thank you", "Asante"), ('A "stray quote', 'Nukuu "moja')]


def write(folder, name, content):
    path = folder / name
    data = content if isinstance(content, bytes) else content.encode("utf-8")
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


def pairs(dataset):
    assert dataset.column_names == ["source", "translation"]
    return list(zip(dataset["source"], dataset["translation"], strict=True))


def jsonl(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def as_csv(rows):
    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)
    return buffer.getvalue()


NAMED = jsonl({"en": en, "sw": sw} for en, sw in PAIRS)
LINES = [("en", "sw"), *PAIRS]
TSV = "".join(f"{en}\t{sw}\n" for en, sw in LINES)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", NAMED),
        ("a.jsonl.gz", NAMED),
        ("a.json", json.dumps([{"en": en, "sw": sw} for en, sw in PAIRS])),
        ("a.json", NAMED),
        ("bom.jsonl", b"\xef\xbb\xbf" + NAMED.encode()),
        ("crlf.jsonl", NAMED.replace("\n", "\r\n") + "\r\n\n"),
        ("a.tsv", TSV),
        ("a.tsv.gz", TSV),
        ("bom.tsv", b"\xef\xbb\xbf" + TSV.encode()),
        ("crlf.tsv", TSV.replace("\n", "\r\n")),
        ("noend.tsv", TSV.rstrip("\n")),
        ("a.csv", as_csv(LINES)),
        ("a.csv.gz", as_csv(LINES)),
        ("bom.csv", b"\xef\xbb\xbf" + as_csv(LINES).encode()),
        ("lf.csv", as_csv(LINES).replace("\r\n", "\n")),
        ("headerless.tsv", "".join(f"{en}\t{sw}\n" for en, sw in PAIRS)),
        ("headerless.csv", as_csv(PAIRS)),
        ("swapped.tsv", "".join(f"{sw}\t{en}\n" for en, sw in LINES)),
        ("extra.tsv", "".join(f"{i}\t{en}\t{sw}\n" for i, (en, sw) in zip(["id", "1", "2", "3"], LINES, strict=True))),
    ],
)
def test_every_format_gives_the_same_pairs(tmp_path, name, content):
    assert pairs(read_bitext(write(tmp_path, name, content))) == PAIRS


def test_parquet_and_memory_and_datasets(tmp_path):
    rows = [{"en": en, "sw": sw, "source": "corpus"} for en, sw in PAIRS]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
    assert pairs(read_bitext(str(tmp_path / "a.parquet"))) == PAIRS
    assert pairs(read_bitext(rows)) == PAIRS
    assert pairs(read_bitext(PAIRS)) == PAIRS
    assert pairs(read_bitext(datasets.Dataset.from_list(rows))) == PAIRS
    nested = [{"id": "1", "translation": {"en": en, "sw": sw}} for en, sw in PAIRS]
    assert pairs(read_bitext(datasets.Dataset.from_list(nested))) == PAIRS
    assert pairs(read_bitext(write(tmp_path, "nested.jsonl", jsonl(nested)))) == PAIRS


ENGLISH = "The child is in the house and it was not for them that we have this of which they spoke."
SWAHILI = "Mtoto yumo nyumbani na haikuwa kwa ajili yao kwamba tunayo hii leo hapa."


@pytest.mark.parametrize("rows", [20, 400])
def test_columns_that_were_guessed_the_wrong_way_round_stop_early_and_name_the_remedy(tmp_path, rows):
    good = write(tmp_path, "good.tsv", f"{ENGLISH}\t{SWAHILI}\n" * rows)
    bad = write(tmp_path, "bad.tsv", f"{SWAHILI}\t{ENGLISH}\n" * rows)
    assert len(read_bitext(good)) == rows
    with pytest.raises(InputError, match=r"field '2'.*reads as English.*--source_field 2 --translation_field 1"):
        read_bitext(bad)
    assert len(read_bitext(bad, source_field="2", translation_field="1")) == rows
    assert len(read_bitext(good, source_field="2", translation_field="1")) == rows  # who names both means it
    notes = examine(str(bad), language="sw").verdict.notes
    assert any("wrong way round" in note for note in notes)
    assert not any("wrong way round" in note for note in examine(str(good), language="sw").verdict.notes)


def test_the_first_few_hundred_pairs_decide(tmp_path):
    bad = write(tmp_path, "bad.tsv", f"{SWAHILI}\t{ENGLISH}\n" * 300 + "\t\n")  # row 301 is empty, and not reached
    with pytest.raises(InputError, match="reads as English"):
        read_bitext(bad)
    late = write(tmp_path, "late.tsv", f"{ENGLISH}\t{SWAHILI}\n" * 300 + f"{SWAHILI}\t{ENGLISH}\n" * 300)
    assert len(read_bitext(late)) == 600


@pytest.mark.parametrize(
    ("english", "other"),
    [
        (ENGLISH, "A goat sleeps under the tree"),
        (ENGLISH, "Umbre fi di pikin de for di house wey dem build"),
        ("eat", "at spise"),  # a list of verbs, in Danish
        ("house", "he whare"),  # of nouns, in Maori
        ("Cancel", "the the the the"),
        (SWAHILI + " the of", ENGLISH),  # some English in both, as where languages are mixed
        ("Guten Tag und willkommen im Haus von heute", "Das Kind of the Haus was that"),  # 3 words in 7 are English
    ],
)
def test_word_lists_and_mixed_languages_are_let_pass(english, other):
    assert len(read_bitext([{"en": english, "xx": other}] * 400)) == 400


def test_a_column_with_a_space_is_quoted_in_the_remedy():
    rows = [{"English": SWAHILI, "Swahili text": ENGLISH}] * 50
    with pytest.raises(InputError, match="--source_field 'Swahili text' --translation_field English"):
        read_bitext(rows)
    assert len(read_bitext(rows[:5])) == 5  # too few words to say


def test_several_files_become_one(tmp_path):
    report = PairReport()
    files = [write(tmp_path, "a.tsv", TSV), str(write(tmp_path, "b.jsonl", NAMED))]
    assert pairs(read_bitext(files, report=report)) == PAIRS * 2
    assert (report.kept, report.duplicates) == (6, 3)


def test_corpus_named_source_is_not_english(tmp_path):
    path = write(tmp_path, "a.jsonl", jsonl([{"id": "1", "lang": "sw", "en": "Hi", "xx": "Habari", "source": "tico"}]))
    report = PairReport()
    assert pairs(read_bitext(path, report=report)) == [("Hi", "Habari")]
    assert "read 'en' as English and 'xx' as its translation" in report.messages[0]


def test_columns_by_position(tmp_path):
    path = write(tmp_path, "a.tsv", "1\tHi\tHabari\n2\tThanks\tAsante\n")
    expected = [("Hi", "Habari"), ("Thanks", "Asante")]
    assert pairs(read_bitext(path, source_field="2", translation_field="3")) == expected


BAD = {
    "null.jsonl": ('{"en": "a", "sw": "b"}\n{"en": null, "sw": "b"}\n', 2, "en", "found null"),
    "empty.jsonl": ('{"en": "a", "sw": "b"}\n{"en": "a", "sw": ""}\n', 2, "sw", "the text is empty"),
    "space.tsv": ("en\tsw\na\tb\na\t \u00a0\n", 3, "sw", "the text is empty"),
    "invisible.tsv": ("en\tsw\na\tb\n\u200b\u2060\tb\n", 3, "en", r"only invisible characters \(U\+200B U\+2060\)"),
    "number.jsonl": ('{"en": "a", "sw": "b"}\n{"en": "a", "sw": 3}\n', 2, "sw", r"found 3 \(int\) where text"),
    "list.jsonl": ('{"en": "a", "sw": "b"}\n{"en": ["a"], "sw": "b"}\n', 2, "en", r"found \['a'\] \(list\)"),
    "absent.jsonl": ('{"en": "a", "sw": "b"}\n{"en": "a"}\n', 2, "sw", "the field is missing"),
    "json.jsonl": ('{"en": "a", "sw": "b"}\n{"en": "a", \n', 2, None, "invalid JSON"),
    "array.jsonl": ('{"en": "a", "sw": "b"}\n"text"\n', 2, None, "not a JSON object"),
    "blank.jsonl": ('{"en": "a", "sw": "b"}\n\n{"en": "a", "sw": "c"}\n', 2, None, "the line is empty"),
    "blank.tsv": ("en\tsw\na\tb\n\na\tc\n", 3, None, "the line is empty"),
    "blank.csv": ("en,sw\na,b\n\na,c\n", 3, None, "the line is empty"),
    "three.tsv": ("en\tsw\na\tb\na\tb\tc\n", 3, None, "found 3 columns where the first row has 2"),
    "one.csv": ("en,sw\na,b\na\n", 3, None, "found 1 column where the first row has 2"),
    "quote.csv": ('en,sw\na,b\n"a"x,b\n', 3, None, "invalid CSV"),
    "unclosed.csv": ('en,sw\na,b\n"a,b\nc,d\n', 3, None, "invalid CSV .*lines 3 to 4"),
    "latin1.tsv": (b"en\tsw\na\tb\na\tcaf\xe9\n", 3, "sw", "invalid UTF-8 .byte 0xE9 at character 4"),
    "latin1.csv": (b"en,sw\na,b\ncaf\xe9,b\n", 3, "en", "invalid UTF-8"),
    "latin1.jsonl": (b'{"en": "a", "sw": "b"}\n{"en": "caf\xe9", "sw": "b"}\n', 2, "en", "invalid UTF-8"),
    "surrogate.jsonl": ('{"en": "a", "sw": "b"}\n{"en": "a\\ud800", "sw": "b"}\n', 2, "en", "lone surrogate U.D800"),
    "nul.csv": (b"en,sw\na,b\n\x00,b\n", 3, None, "."),
}


@pytest.mark.parametrize("name", BAD)
def test_the_first_bad_row_stops_with_its_place(tmp_path, name):
    content, row, field, match = BAD[name]
    path = write(tmp_path, name, content)
    with pytest.raises(InputError, match=match) as caught:
        read_bitext(path)
    assert (str(caught.value.path), caught.value.row) == (str(path), row)
    assert caught.value.field == field or name == "nul.csv"
    assert "on_bad_rows='skip'" in caught.value.remedy


@pytest.mark.parametrize("name", BAD)
def test_bad_rows_are_left_out_on_request_and_listed(tmp_path, name):
    content, row, _, _ = BAD[name]
    report = PairReport()
    kept = pairs(read_bitext(write(tmp_path, name, content), on_bad_rows="skip", report=report))
    assert kept[0] == ("a", "b")
    assert report.kept == len(kept)
    assert [bad.row for bad in report.bad_rows] == [row]
    report.write(tmp_path / "bad.tsv")
    listed = (tmp_path / "bad.tsv").read_text(encoding="utf-8").splitlines()
    assert listed[0] == "path\trow\tfield\tproblem"
    assert listed[1].split("\t")[1] == str(row)


def test_the_row_of_a_csv_is_the_line_it_starts_on(tmp_path):
    path = write(tmp_path, "a.csv", 'en,sw\n"two\nlines",mbili\n"x",\n')
    with pytest.raises(InputError) as caught:
        read_bitext(path)
    assert caught.value.row == 4
    assert pairs(read_bitext(path, on_bad_rows="skip")) == [("two\nlines", "mbili")]


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("a.tsv", "", "the file is empty"),
        ("a.jsonl", b"\xef\xbb\xbf", "the file is empty"),
        ("a.jsonl", "\n\n", "the file is empty"),
        ("a.csv", "\n", "the file is empty"),
        ("a.jsonl.gz", "", "the file is empty"),
        ("a.tsv", "en\tsw\n", "no row is left"),
        ("a.tsv", "only one column\n", "two columns are needed, found 1.*split at tabs"),
        ("a.jsonl", '{"en": "a"}\n', "two columns are needed, found 1"),
        ("a.json", "[1, 2", "invalid JSON"),
        ("a.txt", "a\tb\n", "'.txt' is not that of a supported format.*jsonl"),
        ("a.tsv", "en\tsw\na\tb\n".encode("utf-16")[:-1], "UTF-16.*save it as UTF-8"),
        ("a.parquet", "PAR1 no", "not a readable Parquet"),
        ("a.tsv", "en\ten\na\tb\n", "two columns have this name"),
        ("a.tsv", "source\tchanzo\n", "may be a header or a pair"),
    ],
)
def test_files_that_cannot_serve(tmp_path, name, content, match):
    with pytest.raises(InputError, match=match):
        read_bitext(write(tmp_path, name, content))


def test_damaged_gzip(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(NAMED.encode() * 50)[:-20])
    with pytest.raises(InputError, match="gzip data is damaged"):
        read_bitext(path)


@pytest.mark.parametrize("source", ["missing.jsonl", "folder/missing.tsv.gz", "a/b/c", "no such thing"])
def test_missing_files(source):
    with pytest.raises(InputError, match=re.escape(f"{source}: there is no such file")):
        read_bitext(source)


def test_a_folder_without_data_is_refused(tmp_path):
    (tmp_path / "a.jsonl").mkdir()
    (tmp_path / "a.jsonl" / "notes.md").write_text("nothing")
    with pytest.raises(InputError, match="the folder holds no data files"):
        read_bitext(tmp_path / "a.jsonl")


def test_a_hub_id_without_a_network_says_so(monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=r"nobody/nothing: this is not an existing file, .*without a network"):
        read_bitext("nobody/nothing")


def test_a_hub_id_is_loaded_with_its_configuration_and_split(monkeypatch):
    asked = {}

    def load(name, configuration, **options):
        asked.update(options, name=name, configuration=configuration)
        return datasets.Dataset.from_list([{"translation": {"en": "Hi", "sw": "Habari"}}])

    monkeypatch.setattr(datasets, "load_dataset", load)
    assert pairs(read_bitext("owner/name:en-sw", split="validation")) == [("Hi", "Habari")]
    assert asked == {"name": "owner/name", "configuration": "en-sw", "split": "validation"}


def test_duplicates_and_copies_are_counted_and_kept():
    report = PairReport()
    rows = [("Hi", "Habari"), ("Hi", "Habari"), ("OK", " ok"), ("Hi", "Hujambo")]
    assert pairs(read_bitext(rows, report=report)) == rows
    assert (report.kept, report.duplicates, report.copies, report.skipped) == (4, 1, 1, 0)
    assert "1 exact duplicates and 1 untranslated copies" in report.messages[-1]


def test_wrong_options_and_rows():
    with pytest.raises(InputError, match="use 'error' or 'skip'"):
        read_bitext(PAIRS, on_bad_rows="ignore")
    with pytest.raises(InputError, match="there are no rows"):
        read_bitext([])
    with pytest.raises(InputError, match="found dict where a source of pairs is expected"):
        read_bitext({"en": ["a"], "sw": ["b"]})
    with pytest.raises(InputError, match=r"row 2: found .*neither a mapping nor a pair"):
        read_bitext([("a", "b"), ("a", "b", "c")])


def test_large_bitext_is_memory_mapped_and_survives_pickling(tmp_path):
    rows = [(f"sentence {index}", f"sentensi {index}") for index in range(20_001)]
    dataset = read_bitext(write(tmp_path, "a.tsv", "".join(f"{en}\t{sw}\n" for en, sw in rows)))
    assert dataset.cache_files
    assert pairs(dataset) == rows
    assert pairs(pickle.loads(pickle.dumps(dataset))) == rows
    assert dataset.select([20_000])[0] == {"source": "sentence 20000", "translation": "sentensi 20000"}


def test_the_temporary_file_ends_with_its_process_and_not_with_a_fork(tmp_path):
    code = (
        "import os, sys\n"
        "from hf_optical.data.bitext import read_bitext\n"
        "d = read_bitext([(f'a{i}', f'b{i}') for i in range(10_000)])\n"
        "path = d.cache_files[0]['filename']\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    sys.exit(0)\n"
        "os.waitpid(child, 0)\n"
        "assert os.path.exists(path)\n"
        "print(path)\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip().startswith(str(tmp_path))
    assert not os.path.exists(done.stdout.strip())


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00\t\r\n"), min_size=1, max_size=20)
VISIBLE = TEXT.filter(lambda text: not is_blank(text))


@given(
    rows=st.lists(st.tuples(VISIBLE, VISIBLE), min_size=1, max_size=8), kind=st.sampled_from(["jsonl", "tsv", "csv"])
)
@settings(max_examples=60, deadline=None)
def test_any_text_comes_back_in_one_form(tmp_path_factory, rows, kind):
    assume(kind != "tsv" or not any('""' in text for row in rows for text in row))  # what pandas writes; see below
    header = [("source", "translation"), *rows]
    content = {
        "jsonl": jsonl({"source": en, "translation": xx} for en, xx in rows),
        "tsv": "".join(f"{en}\t{xx}\n" for en, xx in header),
        "csv": as_csv(header),
    }[kind]
    path = write(tmp_path_factory.mktemp("any"), f"a.{kind}", content)
    found = read_bitext(path, source_field="source", translation_field="translation")  # texts may look like codes
    assert pairs(found) == [tuple(unicodedata.normalize("NFC", text) for text in row) for row in rows]


def outcome(path):
    try:
        return read_bitext(path, on_bad_rows="skip").column_names
    except InputError as error:
        return str(error.path)


@given(st.binary(max_size=200), st.sampled_from(["jsonl", "json", "tsv", "csv", "parquet", "jsonl.gz"]))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_read_or_refused(tmp_path_factory, data, extension):
    path = tmp_path_factory.mktemp("bytes") / f"a.{extension}"
    path.write_bytes(data)
    assert outcome(path) in (str(path), ["source", "translation"])


@pytest.mark.real
@pytest.mark.parametrize(("language", "rows"), [("tl", 5645), ("am", 1822)])
def test_real_bitext(shared_data, language, rows):
    report = PairReport()
    dataset = read_bitext(shared_data / "bitext" / f"{language}.train.jsonl.gz", language=language, report=report)
    assert len(dataset) == report.kept == rows
    assert "read 'en' as English and 'xx'" in report.messages[0]
    if language == "am":
        assert any("ሀ" <= character <= "፿" for character in dataset[0]["translation"])
