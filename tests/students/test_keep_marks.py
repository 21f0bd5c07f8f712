"""Accents and tone marks in a grown student: kept with the option, and no loss for those who do not type them."""

from __future__ import annotations

import json
import unicodedata

import pytest
import torch
from datasets import Dataset
from sentence_transformers import SentenceTransformer

from hf_optical.configuration.parsing import parse
from hf_optical.errors import InputError
from hf_optical.runs.options import TrainConfig
from hf_optical.students import build_student, grow_student, starting_student
from hf_optical.students.marks import marks_of, unmarked

# Words of Yoruba that differ in marks alone (vehicle, husband, hoe), and English names with other marks.
YORUBA = ["ọkọ̀ ńlá dé", "ọkọ mi dé", "ọkọ́ mi ńlá", "oko ńlá ni"] * 10
ENGLISH = ["a big vehicle has come", "my husband has come", "my big hoe", "it is a big farm"] * 10
SENTENCES = [
    "The children drink clean water every morning, and 3 doctors write: it's unbelievable!",
    "Kayaking in Reykjavik, cryptocurrencies and electroencephalography.",
]


def cut(model, text):
    return model.tokenizer.convert_ids_to_tokens(model.tokenizer(text, add_special_tokens=False)["input_ids"])


def tokenizer_of(model):
    spec = json.loads(model.tokenizer.backend_tokenizer.to_str())
    return {part: spec[part] for part in ("normalizer", "pre_tokenizer", "post_processor", "model")}


def grown(teacher, keep_marks, vocabulary="extend", texts=YORUBA):
    return grow_student(teacher, texts, vocabulary, len(teacher.tokenizer) + 90, keep_marks=keep_marks)


@pytest.mark.parametrize("vocabulary", ["extend", "replace"])
def test_words_that_differ_in_tone_alone_are_two_only_with_marks_kept(make_teacher, vocabulary):
    kept, stripped = (grown(make_teacher(), option, vocabulary) for option in (True, False))
    assert cut(stripped, "ọkọ̀") == cut(stripped, "ọkọ") == cut(stripped, "oko")
    words = ["ọkọ̀", "ọkọ", "ọkọ́", "oko"]
    assert len({tuple(cut(kept, word)) for word in words}) == 4
    for word in words:  # seen often enough to be whole
        assert len(cut(kept, word)) == 1 and cut(kept, word) == cut(kept, unicodedata.normalize("NFD", word.upper()))


def test_auto_is_what_it_was(make_teacher, marathi):
    teacher = make_teacher()
    auto, stripped = (grown(teacher, option) for option in ("auto", False))
    assert tokenizer_of(auto) == tokenizer_of(stripped)
    assert tokenizer_of(auto)["normalizer"] == tokenizer_of(teacher)["normalizer"]
    one, other, stripped = (grown(teacher, option, texts=marathi) for option in ("auto", True, False))
    assert tokenizer_of(one) == tokenizer_of(other)
    assert "े" in "".join(cut(one, "हवे")) and "े" not in "".join(cut(stripped, "हवे"))


@pytest.mark.parametrize("kind", ["WordPiece", "Unigram", "BPE"])
@pytest.mark.parametrize("vocabulary", ["extend", "replace"])
def test_a_query_without_marks_has_learnt_pieces(make_teacher, kind, vocabulary):
    teacher = make_teacher(kind)
    kept, auto = (grown(teacher, option, vocabulary) for option in (True, "auto"))
    for text in map(unmarked, YORUBA[:4]):
        pieces = cut(kept, text)
        assert kept.tokenizer.unk_token not in pieces
        assert len(pieces) <= len(cut(auto, text))
    if kind != "WordPiece":  # these teachers keep marks, so that only the option reads words without them
        assert len(cut(kept, "nla de")) < len(cut(auto, "nla de"))


@pytest.mark.parametrize("row_init", ["transport", "bitext"])
def test_rows_of_words_without_marks_come_from_the_pairs_too(make_teacher, row_init):
    teacher = make_teacher()
    rows = Dataset.from_dict({"source": ENGLISH, "translation": YORUBA})
    before = {}
    student = starting_student(
        "extend",
        teacher,
        rows,
        row_init=row_init,
        vocab_size=len(teacher.tokenizer) + 90,
        keep_marks=True,
        on_grown=lambda model: before.update(table=model[0].model.get_input_embeddings().weight.detach().clone()),
    )
    table, vocabulary = student[0].model.get_input_embeddings().weight.detach(), student.tokenizer.get_vocab()
    for word in ("nla", "oko", unicodedata.normalize("NFD", "ńlá"), unicodedata.normalize("NFD", "ọkọ̀")):
        row = vocabulary[word]
        assert row >= len(teacher.tokenizer) and not torch.equal(table[row], before["table"][row])


def test_a_saved_student_has_the_same_normalizer_in_plain_sentence_transformers(make_teacher, tmp_path):
    student = grown(make_teacher(), True)
    student.save_pretrained(str(tmp_path / "student"))
    loaded = SentenceTransformer(str(tmp_path / "student"), device="cpu")
    assert tokenizer_of(loaded) == tokenizer_of(student)
    assert tokenizer_of(loaded)["normalizer"]["type"] == "Sequence"
    for text in [*YORUBA[:4], *SENTENCES, "café naïve", "\u0301 1\u0301"]:
        assert cut(loaded, text) == cut(student, text)
        for form in ("NFC", "NFD"):
            assert cut(loaded, unicodedata.normalize(form, text)) == cut(student, text)
    torch.testing.assert_close(loaded.encode(YORUBA[:3]), student.encode(YORUBA[:3]), atol=1e-6, rtol=0)


def test_english_is_cut_as_the_teacher_cuts_it_up_to_a_mark_of_the_language(english_teacher):
    size = len(english_teacher.tokenizer) + 200
    kept, auto = (grow_student(english_teacher, YORUBA, vocab_size=size, keep_marks=k) for k in (True, "auto"))
    for text in SENTENCES:
        assert cut(kept, text) == cut(auto, text) == cut(english_teacher, text)
    # Marks that the language does not use are stripped, as the teacher does, in any script.
    for text in ("naïve façade, Ångström", "हिन्दी", "한국어", "が"):
        assert cut(kept, text) == cut(english_teacher, text)
    # Marks that it uses are pieces behind the teacher's own, or split the word where they stand.
    assert cut(kept, "café") == ["cafe", "##\u0301"]
    assert [piece for piece in cut(kept, "Résumé of José") if not piece.startswith("##")] == ["re", "of", "jose"]
    assert english_teacher.tokenizer.unk_token not in cut(kept, "Ǹ ǵ ẃ résumé à la carte \u0301 1\u0301")


def test_the_marks_of_a_language_are_those_of_its_words():
    assert marks_of(["Ọmọ"] * 5000 + ["ça va"]) == "\u0323"
    assert marks_of(["maji"]) == ""


@pytest.mark.parametrize("student", ["copy", "some/encoder"])
def test_a_student_without_new_pieces_is_refused(make_teacher, student):
    with pytest.raises(InputError, match=r"keep_marks.*learns no new pieces.*extend, replace"):
        build_student(student, make_teacher(), keep_marks=True)
    config = parse(
        TrainConfig, ["--teacher", "t", "--student", student, "--language", "yo", "--bitext", "f", "--keep_marks"]
    )
    with pytest.raises(InputError, match=r"keep_marks.*learns no new pieces"):
        config.check()


def test_the_option_has_three_values(tmp_path, make_teacher):
    file = tmp_path / "run.yaml"
    for written, value in (("auto", "auto"), ("true", True), ("false", False)):
        assert parse(TrainConfig, ["--keep_marks", written]).keep_marks == value
        file.write_text(f"keep_marks: {written}\n")
        assert parse(TrainConfig, ["--config", str(file)]).keep_marks == value
    with pytest.raises(InputError, match="keep_marks"):
        parse(TrainConfig, ["--keep_marks", "some"])
    with pytest.raises(InputError, match="use 'auto', true or false"):
        grown(make_teacher(), "true")
