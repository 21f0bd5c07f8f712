from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_optical.data.languages import (
    UnknownLanguageError,
    find_language,
    iso_code,
    known_codes,
    language_name,
    normalize,
    script_of,
)
from hf_optical.errors import InputError


@pytest.mark.parametrize(
    ("code", "flores"),
    [
        *((code, "swh_Latn") for code in ("sw", "swa", "swh", "swh_Latn", "sw-KE", "SW", "swh-Latn", " sw ")),
        *((code, "tgl_Latn") for code in ("tl", "fil", "tgl", "fil-PH")),
        *((code, "zho_Hans") for code in ("zh", "zho", "chi", "cmn", "zh-CN", "cmn_Hans")),
        *((code, "zho_Hant") for code in ("zh-TW", "zh_Hant", "zh-Hant-HK")),
        *((code, "nob_Latn") for code in ("no", "nb", "nor", "nob")),
        *((code, "fra_Latn") for code in ("fr", "fra", "fre", "fr-419", "French")),
        ("so", "som_Latn"), ("som", "som_Latn"), ("mr", "mar_Deva"), ("en", "eng_Latn"), ("ha", "hau_Latn"),
        ("yo", "yor_Latn"), ("ig", "ibo_Latn"), ("rw", "kin_Latn"), ("am", "amh_Ethi"), ("de", "deu_Latn"),
        ("hi", "hin_Deva"), ("zu", "zul_Latn"), ("xh", "xho_Latn"), ("sn", "sna_Latn"), ("ar", "arb_Arab"),
        ("ace_Arab", "ace_Arab"), ("ace", "ace_Latn"), ("sat_Beng", "sat_Olck"), ("om", "gaz_Latn"), ("mg", "plt_Latn"),
    ],
)  # fmt: skip
def test_codes_that_people_use(code, flores):
    assert normalize(code) == flores


def test_every_flores_code_is_its_own_normal_form_in_any_case():
    assert len(known_codes()) == 204
    for code in known_codes():
        assert re.fullmatch(r"[a-z]{3}_[A-Z][a-z]{3}", code)
        assert normalize(code) == normalize(code.upper()) == normalize(code.replace("_", "-")) == code
        assert normalize(code[:3])[:3] == code[:3]
        assert script_of(code) == code[4:]
        assert normalize(language_name(code)) == code


@pytest.mark.parametrize(
    ("code", "near"),
    [
        ("swx", "swh_Latn"),
        ("somm", "som_Latn"),
        ("sw_Abcd", "swh_Latn"),
        ("sr-Latn-Latn", "srp_Cyrl"),
        ("swahilli", "swh_Latn"),
    ],
)
def test_an_unknown_code_names_the_nearest(code, near):
    with pytest.raises(UnknownLanguageError, match=near) as caught:
        normalize(code)
    assert isinstance(caught.value, InputError)
    assert repr(code) in str(caught.value)


@pytest.mark.parametrize("code", ["", " ", "_", "sw_", "sw_sw_sw_sw", "en_text", False, None, 3])
def test_what_is_no_code_is_refused(code):
    with pytest.raises(UnknownLanguageError):
        normalize(code)


@given(st.text(max_size=12))
@settings(max_examples=200, deadline=None)
def test_any_text_is_either_a_code_or_an_error(text):
    try:
        code = normalize(text)
    except UnknownLanguageError:
        return
    assert re.fullmatch(r"[a-z]{3}_[A-Z][a-z]{3}", code)
    assert normalize(code) == code


@pytest.mark.parametrize(
    ("code", "found", "name"),
    [
        ("pcm", "pcm_Latn", "Nigerian Pidgin"), ("Nigerian Pidgin", "pcm_Latn", "Nigerian Pidgin"),
        ("nqo", "nqo_Nkoo", "N'Ko"), ("gez", "gez_Ethi", "Geez"), ("nd", "nde_Latn", "North Ndebele"),
        ("nde-ZW", "nde_Latn", "North Ndebele"), ("cop_Copt", "cop_Copt", "Coptic"), ("old-Latn", "old_Latn", None),
        ("sr-Latn", "srp_Latn", "Serbian (Latn)"), ("sh", "srp_Latn", "Serbian (Latn)"),
        ("sr_Latn_RS", "srp_Latn", None), ("srp", "srp_Cyrl", "Serbian"), ("sw_Arab", "swh_Arab", "Swahili (Arab)"),
        ("kab-Tfng", "kab_Tfng", "Kabyle (Tfng)"), ("yue-Hans", "yue_Hans", None), ("iw", "heb_Hebr", "Hebrew"),
        ("zh-yue", "yue_Hant", None), ("ar-arz", "arz_Arab", None), ("zh-yue-Hans", "yue_Hans", None),
    ],
)  # fmt: skip
def test_languages_and_scripts_beyond_flores(code, found, name):
    assert normalize(code) == found and script_of(code) == found[4:]
    assert name is None or language_name(code) == name
    assert normalize(language_name(found)) == found


def test_two_scripts_of_one_language_are_two_codes_with_one_short_code():
    assert normalize("sr-Cyrl") != normalize("sr-Latn")
    assert iso_code("sr-Latn") == iso_code("sr") == "sr" and iso_code("pcm") == "pcm"


@pytest.mark.parametrize("code", ["old", "the", "dev"])
def test_a_language_of_unknown_script_asks_for_it_and_the_remedy_works(code):
    with pytest.raises(UnknownLanguageError, match="script") as caught:
        normalize(code)
    named = re.search(r"'(\w{3}_Latn)'", caught.value.remedy)[1]
    assert normalize(named) == named


@pytest.mark.parametrize("code", ["und", "mul", "zxx", "qaa", "mis", "bantu", "sw_Zzzz", "en_text"])
def test_families_and_placeholders_are_no_language(code):
    with pytest.raises(UnknownLanguageError):
        normalize(code)


def test_names_of_columns_are_not_taken_for_rare_languages():
    assert [find_language(name) for name in ("the", "doc", "new", "and", "pcm", "sr_Latn")] == [None] * 6
