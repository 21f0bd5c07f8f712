"""Words that merge without their marks."""

from __future__ import annotations

from hf_optical.doctor import examine
from hf_optical.doctor.marks import MarkedWords, without_marks


def test_marks_go_and_letters_stay():
    assert without_marks("Òkè") == without_marks("oke") == without_marks("oké")
    assert without_marks("straße") == "straße" and without_marks("đ") == "đ"  # letters of their own
    assert without_marks("e\u0301") == without_marks("é") == "e"


def test_words_are_counted_once_and_case_is_no_mark():
    words = MarkedWords()
    words.add(["Oke òkè, oke!", "OKE òkè mmiri 12"])
    assert (words.merged, words.different) == (2, 3) and words.example == ["oke", "òkè"]
    assert "2 of 3 different words" in words.note() and "oke, òkè" in words.note()
    assert "--keep_marks true" in words.note()


def test_nothing_is_said_of_a_language_without_marks():
    words = MarkedWords()
    assert words.note() is None and words.example == []
    words.add([" ".join(f"{one}{other}" for one in "bcdfghjklmn" for other in "aeioubcdfghjkmnpqrst"), "café cafe"])
    assert words.merged == 2 and words.note() is None  # fewer than a hundredth


def test_the_doctor_says_how_many_words_merge(tmp_path):
    rows = [(f"a big goat number {i}", f"oké òkè oke mmiri ụlọ {i}") for i in range(20)]
    file = tmp_path / "ig.tsv"
    file.write_text("en\tig\n" + "".join(f"{left}\t{right}\n" for left, right in rows), encoding="utf-8")
    text = examine(str(file), language="ig").verdict.text()
    assert "3 of 5 different words of the translations differ from another one only in accents" in text
