"""Folders, parallel files, columns, languages, documents and Unicode: sound results, or an error that says what."""

from __future__ import annotations

import contextlib
import json
import re
import tempfile
import unicodedata
from pathlib import Path

from fuzz_profiles import fuzz
from hypothesis import strategies as st
from test_fuzz_readers import NAMES, SUFFIXES, WEIRD, check_texts, sound, spoilt

from hf_optical.data.bitext import read_bitext
from hf_optical.data.columns import choose_columns
from hf_optical.data.languages import find_language, language_name, normalize, script_of
from hf_optical.data.search_documents import read_search_documents
from hf_optical.data.texts import one_form
from hf_optical.data.training_sets import check_training_sets
from hf_optical.doctor import Checks, examine, write_clean
from hf_optical.errors import InputError

FILES = st.lists(
    st.tuples(
        st.sampled_from(["a", "train-0", "test-0", ".hidden", "x/b", "data/train", "README"]),
        SUFFIXES | st.sampled_from([".arrow", ".md", ".en", ".sw", ""]),
        st.integers(0),
        st.integers(0, 3),
    ),
    max_size=4,
)
CELLS = st.one_of(
    WEIRD, st.sampled_from(["the goat", "mbuzi", "doc-1", "17", "ọmọ", "o\u0323mo\u0323", "https://a.b/c"])
)
COLUMN = NAMES | st.sampled_from(["en_id", "sw_id", "pcm", "sr_Latn", "text_sw", "non_english", "no", "foo", "English"])


@fuzz(5, files=FILES, saved=st.booleans())
def test_folders(files, saved):
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(InputError):
        for name, suffix, seed, edits in files:
            path = Path(folder) / f"{name}{suffix}"
            path.parent.mkdir(exist_ok=True)
            text = suffix in (".md", ".en", ".sw", "", ".arrow")
            path.write_bytes(spoilt(b"the goat\nthe dog\n" if text else sound(suffix), seed, edits))
        if saved:
            (Path(folder) / "dataset_info.json").write_text("{}")
            (Path(folder) / "state.json").write_text("{}")
        check_texts(read_bitext(folder, language="sw", on_bad_rows="skip"), ("source", "translation"))


@fuzz(5, left=st.binary(max_size=60), right=st.binary(max_size=60), name=st.sampled_from(["a.en", "a.sw", "a", "a.fr"]))
def test_parallel_files(left, right, name):
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(InputError):
        (Path(folder) / "a.en").write_bytes(left)
        (Path(folder) / "a.sw").write_bytes(right)
        rows = read_bitext(Path(folder) / name, language="sw", on_bad_rows="skip")
        check_texts(rows, ("source", "translation"))


@fuzz(
    6,
    columns=st.lists(COLUMN, min_size=1, max_size=5, unique=True),
    cells=st.lists(CELLS, min_size=25, max_size=25),
    language=st.sampled_from([None, "sw", "id", "pcm", "sr-Latn"]),
)
def test_columns(columns, cells, language):
    rows = [dict(zip(columns, cells[start:], strict=False)) for start in range(0, 25, 5)]
    with contextlib.suppress(InputError):
        found = choose_columns(columns, rows=rows, language=language)
        assert found.source != found.translation and {found.source, found.translation} <= set(columns)
        assert len(found.left) == len(columns) - 2
        assert found == choose_columns(columns, rows=rows, language=language)
    with contextlib.suppress(InputError):
        checked = check_training_sets(rows)
        check_texts(checked, ("source", "translation"))


CODES = st.one_of(
    st.text(max_size=12),
    st.from_regex(r"[A-Za-z]{2,3}([_-][A-Za-z]{4})?([_-]([A-Za-z]{2}|[0-9]{3}))?", fullmatch=True),
    st.sampled_from(["N'Ko", "Serbian (Latn)", "Nigerian Pidgin", "sr_Latn_RS", "zh-Hant-TW", "sh", "iw"]),
)


@fuzz(6, code=CODES)
def test_languages(code):
    with contextlib.suppress(InputError):
        found = normalize(code)
        assert re.fullmatch(r"[a-z]{3}_[A-Z][a-z]{3}", found) and normalize(found) == found
        assert script_of(found) == found[4:] and language_name(found)
        assert find_language(code) in (None, found)


@fuzz(
    5,
    rows=st.lists(st.dictionaries(st.sampled_from(["id", "_id", "text", "title"]), WEIRD, max_size=4), max_size=4),
    good=st.booleans(),
    suffix=st.sampled_from([".jsonl", ".json"]),
)
def test_search_documents(rows, good, suffix):
    content = [{"id": f"d{i}", "text": f"the goat {i}"} for i in range(2)] * good + rows
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(InputError):
        path = Path(folder) / f"documents{suffix}"
        path.write_text("\n".join(json.dumps(row) for row in content))
        for identifier, text in read_search_documents(path).items():
            assert isinstance(identifier, str) and identifier.strip() and text.strip()
            text.encode("utf-8")


LETTERS = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
        st.sampled_from("\u0301\u0323\u093c\u0921\u1100\u1161\u11a8\u0958\u212b\u200d\u200c\u02bc\u2019\ufb01"),
    ),
    max_size=12,
)


@fuzz(6, text=LETTERS)
def test_unicode_forms(text):
    found = one_form(text)
    assert one_form(found) == found == one_form(unicodedata.normalize("NFD", text))
    assert unicodedata.normalize("NFD", found) == unicodedata.normalize("NFD", text)  # nothing but the form changed
    with contextlib.suppress(InputError):
        rows = read_bitext([("x", text), ("x", unicodedata.normalize("NFD", text))])
        assert set(rows["translation"]) == {found}


@fuzz(
    7,
    suffix=SUFFIXES,
    seed=st.integers(0),
    edits=st.integers(0, 4),
    target=st.sampled_from([".jsonl", ".tsv", ".csv"]),
    everything=st.booleans(),
)
def test_what_the_doctor_writes_is_read(suffix, seed, edits, target, everything):
    checks = Checks(near=False, misaligned=False, drop=["none"] if everything else [])
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(InputError):
        path = Path(folder) / f"raw{suffix}"
        path.write_bytes(spoilt(sound(suffix), seed, edits))
        found = examine(path, checks=checks)
        clean = Path(folder) / f"clean{target}"
        kept, _ = write_clean([found], clean, Path(folder) / "dropped.jsonl")
        _read_again(clean, kept)


def _read_again(clean, kept):
    try:
        rows = read_bitext(clean)
    except InputError as error:
        raise AssertionError(f"the doctor wrote what training refuses: {error}") from error
    assert len(rows) == kept
