from __future__ import annotations

import pytest

from hf_optical.data.column_content import content_of
from hf_optical.data.column_names import named_language
from hf_optical.data.columns import choose_columns
from hf_optical.data.headers import is_header
from hf_optical.errors import InputError


@pytest.mark.parametrize(
    ("columns", "source", "translation"),
    [
        (["id", "lang", "en", "xx", "source", "domain", "license"], "en", "xx"),
        (["id", "lang", "en", "xx", "kind", "source", "license"], "en", "xx"),
        (["source", "translation"], "source", "translation"),
        (["src", "tgt"], "src", "tgt"),
        (["sentence1", "sentence2", "score"], "sentence1", "sentence2"),
        (["source_text", "target_text"], "source_text", "target_text"),
        (["sw", "en"], "en", "sw"),
        (["swahili", "English"], "English", "swahili"),
        (["sentence_eng_Latn", "sentence_swh_Latn"], "sentence_eng_Latn", "sentence_swh_Latn"),
        (["translation.en", "translation.sw"], "translation.en", "translation.sw"),
        (["id", "text", "text_en"], "text_en", "text"),
        (["id", "question_en", "question", "license"], "question_en", "question"),
        (["id", "en", "target"], "en", "target"),
        (["source", "sw"], "source", "sw"),
    ],
)
def test_guesses(columns, source, translation):
    chosen = choose_columns(columns)
    assert (chosen.source, chosen.translation, chosen.guessed) == (source, translation, True)


def test_the_wanted_language_settles_which_of_several():
    columns = ["en", "sw", "so", "tl"]
    with pytest.raises(InputError, match="several columns may hold the translation text: 'sw', 'so', 'tl'"):
        choose_columns(columns)
    assert choose_columns(columns, language="swa").translation == "sw"
    assert choose_columns(["id", "en"], language="ind_Latn").translation == "id"


def test_the_name_of_another_language_is_not_taken_for_the_wanted_one():
    with pytest.raises(InputError, match=r"'so' names another one, Somali \(som_Latn\).*--language som_Latn"):
        choose_columns(["en", "so"], language="sw")


@pytest.mark.parametrize(
    ("columns", "match"),
    [
        (["foo", "bar"], "no column looks like the English.*'foo', 'bar'.*--source_field and --translation_field"),
        (["en", "english", "sw"], "several columns may hold the English"),
        (["id", "question_en", "passage_en", "lang"], "several columns may hold the English"),
        (["en", "license"], "no column looks like the translation"),
        (["en", "eng"], "several"),
    ],
)
def test_what_cannot_be_guessed_lists_the_columns(columns, match):
    with pytest.raises(InputError, match=match):
        choose_columns(columns, path="a.tsv")


def test_names_given_win_and_must_exist():
    chosen = choose_columns(["en", "xx", "a", "b"], source_field="a", translation_field="b")
    assert (chosen.source, chosen.translation, chosen.guessed) == ("a", "b", False)
    assert choose_columns(["en", "xx", "a"], translation_field="a").source == "en"
    with pytest.raises(InputError, match=r"field 'c': there is no such column \(found 'en', 'xx'\).*set source_field"):
        choose_columns(["en", "xx"], source_field="c")
    with pytest.raises(InputError, match="both sides"):
        choose_columns(["en", "xx"], source_field="en", translation_field="en")


@pytest.mark.parametrize(
    "cells", [["en", "sw"], ["source", "target"], ["English", "Kinyarwanda"], ["text_en", "text_rw"]]
)
def test_names_are_a_header(cells):
    assert is_header(cells)


@pytest.mark.parametrize("cells", [["Good morning", "Habari"], ["I am here.", "Niko hapa."], ["water", "maji"]])
def test_sentences_are_not_a_header(cells):
    assert not is_header(cells)


def test_half_a_header_is_refused():
    with pytest.raises(InputError, match=r"may be a header or a pair.*'1' and '2'"):
        is_header(["source", "chanzo"])


GOATS = ["The goat sleeps.", "The dog of the house eats.", "A child waits.", "They sing."]
MBUZI = ["Mbuzi analala.", "Mbwa wa nyumba anakula.", "Mtoto anasubiri.", "Wanaimba."]


def table(**columns):
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


IDS = [f"set-{i:03d}" for i in range(4)]
NUMBERS = ["101", "102", "103", "104"]


@pytest.mark.parametrize(
    ("columns", "language", "chosen"),
    [
        ({"id": IDS, "lang": ["id"] * 4, "en": GOATS, "xx": MBUZI}, "id", ("en", "xx")),
        ({"en_id": NUMBERS, "sw_id": NUMBERS, "en_text": GOATS, "sw_text": MBUZI}, "sw", ("en_text", "sw_text")),
        ({"no": NUMBERS, "en": GOATS, "translation": MBUZI}, "no", ("en", "translation")),
        ({"ln": [1, 2, 3, 4], "source": GOATS, "target": MBUZI}, "ln", ("source", "target")),
        ({"en": GOATS, "sw": [None] * 4, "swahili": MBUZI}, "sw", ("en", "swahili")),
        ({"en": GOATS, "swh": IDS, "text_sw": MBUZI}, "sw", ("en", "text_sw")),
        ({"url": ["https://a.org/x"] * 4, "english": GOATS, "non_english": MBUZI}, "sw", ("english", "non_english")),
        ({"en": GOATS, "pcm": MBUZI, "sw": MBUZI}, "pcm", ("en", "pcm")),
        ({"en": GOATS, "sr_Latn": MBUZI, "sr_Cyrl": MBUZI}, "sr-Latn", ("en", "sr_Latn")),
        ({"en": GOATS, "nqo": MBUZI}, None, ("en", "nqo")),
    ],
)
def test_columns_of_text_come_first_whatever_the_names_of_others(columns, language, chosen):
    found = choose_columns(list(columns), rows=table(**columns), language=language)
    assert (found.source, found.translation) == chosen
    left = [name for name in columns if name not in chosen]
    assert len(found.left) == len(left) and all(name in found.said() for name in left)


def test_what_was_left_says_what_it_holds():
    found = choose_columns(["id", "en", "xx"], rows=table(id=IDS, en=GOATS, xx=MBUZI))
    assert found.said() == "read 'en' as English and 'xx' as its translation; left 'id' (codes)"


@pytest.mark.parametrize(("cells", "what"), [(IDS, "codes"), (NUMBERS, "numbers"), (["https://a.org/b"] * 4, "codes")])
def test_a_pair_with_codes_is_refused_unless_it_is_named(cells, what):
    rows = table(en=GOATS, sw=cells)
    with pytest.raises(InputError, match=f"field 'sw': .*holds {what}.*--translation_field"):
        choose_columns(["en", "sw"], rows=rows)
    assert choose_columns(["en", "sw"], rows=rows, source_field="en", translation_field="sw").translation == "sw"
    assert choose_columns(["en", "sw"], rows=rows[:2]).translation == "sw"  # two rows may be chance


def test_texts_that_look_a_little_like_codes_are_texts():
    assert content_of(["2020年大会", "第3回", "100円です"]) == "text"
    assert content_of(["COVID-19", "H1N1", "a virus"]) == "text"
    assert content_of(["ሰላም", "ደህና"]) == "text"
    assert content_of(["17", "two goats", "3", "4"]) == "text"


ENGLISH = "The child of which they spoke is in this house and it was not for them."
SWAHILI = "Mtoto yumo nyumbani na haikuwa kwa ajili yao leo hapa."


@pytest.mark.parametrize("names", [("foo", "bar"), ("bar", "foo"), ("anchor", "positive")])
def test_names_that_say_nothing_are_settled_by_the_words(names):
    rows = [dict(zip(names, (f"{SWAHILI} {i}", f"{ENGLISH} {i}"), strict=True)) for i in range(60)]
    found = choose_columns(names, rows=rows)
    assert (found.source, found.translation) == names[::-1]
    both = [dict(zip(names, (f"{ENGLISH} {i}", f"{ENGLISH} {i} too"), strict=True)) for i in range(60)]
    with pytest.raises(InputError, match="no column looks like the English"):
        choose_columns(names, rows=both)


def test_a_region_is_not_read_from_the_name_of_a_column():
    assert [named_language(name) for name in ("en_id", "sw_id", "en-doc", "zh_Hant", "english")] == [
        None, None, None, "zho_Hant", "eng_Latn",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("first", "language"), [(["en", "pcm"], None), (["pcm", "en"], "pcm_Latn"), (["id", "en", "xx"], None)]
)
def test_rare_languages_make_a_header(first, language):
    assert is_header(first, language=language)
    assert not is_header(["the", "and"]) and not is_header(["7", "the goat", "mbuzi"])


def test_cells_that_are_lists_do_not_matter():
    rows = [
        {"foo": ["a"], "bar": "The goat sleeps", "baz": "Mbuzi analala"},
        {"foo": "x y", "bar": "a b", "baz": "c d"},
    ]
    with pytest.raises(InputError, match="no column looks like"):
        choose_columns(["foo", "bar", "baz"], rows=rows)
