from __future__ import annotations

import builtins

import pytest

from hf_optical.data.identify import UNDETERMINED, identifiable, identify
from hf_optical.data.languages import known_codes, normalize
from hf_optical.errors import InputError

SENTENCES = {  # written for this project
    "swh_Latn": "Watoto wanacheza karibu na mto kila siku baada ya shule",
    "som_Latn": "Carruurtu waxay maalin walba ku ciyaaraan webiga agtiisa",
    "tgl_Latn": "Naglalaro ang mga bata sa tabi ng ilog araw-araw",
    "mar_Deva": "मुले दररोज शाळा सुटल्यावर नदीकाठी खेळतात आणि मग घरी येतात",
    "hau_Latn": "Yara suna wasa kusa da kogi kowace rana bayan makaranta",
    "ibo_Latn": "Ụmụaka na-egwuri egwu n'akụkụ osimiri kwa ụbọchị",
    "kin_Latn": "Abana bakina hafi y'umugezi buri munsi nyuma y'ishuri",
    "amh_Ethi": "ልጆች በየቀኑ ከትምህርት በኋላ በወንዙ አጠገብ ይጫወታሉ",
    "eng_Latn": "The children play near the river every day after school",
}


def test_the_languages_of_the_project_are_identified_in_order():
    found = identify(list(SENTENCES.values()))
    assert [code for code, _ in found] == list(SENTENCES)
    assert all(0 < confidence <= 1 for _, confidence in found)


def test_answers_are_flores_codes_and_the_projects_languages_are_among_them():
    assert set(SENTENCES) <= set(identifiable())
    assert len(set(identifiable()) & set(known_codes())) > 90
    assert all(normalize(code) == code for code in identifiable())


@pytest.mark.parametrize("text", ["", " ", "1234", "?!…", "😀"])
def test_what_has_no_letters_is_undetermined(text):
    assert identify([text]) == [(UNDETERMINED, 0.0)]


def test_a_language_outside_flores_has_its_own_code():
    assert identify(["Gallia est omnis divisa in partes tres, quarum unam incolunt Belgae"])[0][0] == "lat_Latn"


def test_among_fewer_languages_the_confidence_is_their_share():
    text = SENTENCES["mar_Deva"]
    (_, alone), (code, between) = *identify([text]), *identify([text], among=["mr", "hin_Deva"])
    assert code == "mar_Deva" and between > alone
    assert identify([SENTENCES["swh_Latn"]], among=["mr", "en"])[0][0] == "eng_Latn"


def test_mistakes_are_named():
    with pytest.raises(InputError, match="row 2"):
        identify(["a", None])
    with pytest.raises(InputError, match="does not know wol_Latn"):
        identify(["a"], among=["wol_Latn"])
    with pytest.raises(InputError, match="no language is named"):
        identify(["a"], among=[])


def test_without_the_extra_the_remedy_is_said(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **options):
        if name.startswith("py3langid"):
            raise ImportError(name)
        return real(name, *args, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError, match="pip install 'py3langid>="):
        identify(["a"])
