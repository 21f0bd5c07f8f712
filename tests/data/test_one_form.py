"""Every text that enters is in Unicode's form C; what carries meaning beyond it is kept."""

from __future__ import annotations

import json
import unicodedata

import pytest

from hf_optical.data.bitext import read_bitext
from hf_optical.data.contexts import read_documents
from hf_optical.data.lexicon import read_lexicon
from hf_optical.data.query_passages import read_query_passages
from hf_optical.data.retrieval import read_retrieval_set
from hf_optical.data.text_rows import read_text_rows
from hf_optical.data.texts import one_form
from hf_optical.data.tokenizer_report import read_texts
from hf_optical.doctor import examine
from hf_optical.publishing.samples import read_sample

WORD = "ol\u00f9k\u1ecd\u0301 b\u00e1 \u0921\u093c"  # Yoruba and Devanagari, as form C has them
SPLIT = unicodedata.normalize("NFD", WORD)


def lines(folder, name, *rows):
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_it_is_so_in_every_reader(tmp_path):
    assert SPLIT != WORD
    pair = lines(tmp_path, "pairs.jsonl", {"en": "caf" + SPLIT, "yo": SPLIT, "doc": "d"})
    for found in (read_bitext(pair)[0], read_lexicon(pair)[0]):
        assert found == {"source": "caf" + WORD, "translation": WORD}
    assert read_documents(pair, "yo")[0].texts["yor_Latn"] == WORD
    lines(tmp_path, "set/corpus.en.jsonl", {"id": "d", "title": SPLIT, "text": SPLIT})
    lines(tmp_path, "set/queries.yo.jsonl", {"id": "q", "text": SPLIT, "text_en": SPLIT})
    (tmp_path / "set" / "qrels.yo.trec").write_text("q 0 d 1\n")
    found = read_retrieval_set(tmp_path / "set", "yo", use_titles=True)
    assert found.queries["q"] == found.english_queries["q"] == WORD and SPLIT not in found.corpus["d"]
    text = lines(tmp_path, "texts.jsonl", {"text": SPLIT, "question": SPLIT, "passage": SPLIT})
    assert read_text_rows(text)[0][1]["text"] == read_sample(text)[0] == WORD
    assert read_query_passages(text, "mono/yor_Latn").rows[0] == {"query": WORD, "passage": WORD}
    assert read_texts(text, text_field="text")["und"] == [WORD]
    (tmp_path / "plain.txt").write_text(SPLIT, encoding="utf-8")
    assert read_sample(tmp_path / "plain.txt") == read_texts(tmp_path / "plain.txt")["und"] == [WORD]


def test_the_doctor_sees_duplicates_across_forms():
    rows = [("good day", WORD), ("good day", SPLIT)]
    assert examine(rows).verdict.counts["duplicate"] == 1


KEPT = {
    "zero width joiner": "\u0d28\u0d4d\u200d",
    "zero width non-joiner": "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "Hawaiian okina": "Hawai\u02bbi",
    "letter apostrophe": "ng\u02bcombe",
    "typographic apostrophe": "ng\u2019ombe",
    "Arabic vowels": "\u0643\u064e\u062a\u064e\u0628",
    "Hebrew points": "\u05e9\u05b8\u05dc\u05d5\u05b9\u05dd",
    "tatweel": "\u0643\u0640\u062a\u0627\u0628",
    "ligature": "\ufb01sh",
    "full width": "\uff21\uff11",
    "superscript": "m\u00b2",
    "variation selector": "\u2764\ufe0f",
    "soft hyphen": "co\u00adop",
}


@pytest.mark.parametrize("name", KEPT)
def test_what_carries_meaning_is_kept(name):
    assert one_form(KEPT[name]) == KEPT[name]
    assert read_bitext([("x", KEPT[name])])[0]["translation"] == KEPT[name]


@pytest.mark.parametrize("text", ["e\u0301", "\u1100\u1161", "\u0958", "o\u0301\u0323", "\u212b", "\u2126"])
def test_canonically_equal_text_becomes_one(text):
    forms = {one_form(unicodedata.normalize(form, text)) for form in ("NFC", "NFD")} | {one_form(text)}
    assert len(forms) == 1
