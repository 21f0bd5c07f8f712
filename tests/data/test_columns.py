from __future__ import annotations

import pytest

from hf_optical.data.columns import choose_columns, is_header
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
    with pytest.raises(InputError, match="no column looks like the translation"):
        choose_columns(["en", "so"], language="sw")


@pytest.mark.parametrize(
    ("columns", "match"),
    [
        (["foo", "bar"], "no column looks like the English.*'foo', 'bar'.*source_field and translation_field"),
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
    with pytest.raises(InputError, match=r"field 'c': no such column \(found 'en', 'xx'\).*set source_field"):
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
