"""A student reads canonically equal text alike, as saved and loaded by sentence-transformers alone."""

from __future__ import annotations

import json
import unicodedata

import pytest
import tiny_models
from sentence_transformers import SentenceTransformer

from hf_optical.students import adapt_student, grow_student
from hf_optical.students.normal_form import composed_first

TEXTS = ["ol\u00f9k\u1ecd\u0301 \u0144 s\u00f9n l\u00e1b\u1eb9\u0301 igi", "\u1ecdm\u1ecd \u0144 j\u1eb9un"] * 30
HINDI = ["\u092f\u0939 \u092c\u0921\u093c\u093e \u0918\u0930 \u0939\u0948"] * 60


def keeping_accents(model):
    """The teacher as a cased one is: accents stay."""
    tokenizer = model.tokenizer.backend_tokenizer
    spec = json.loads(tokenizer.to_str())
    kind = (spec["normalizer"] or {}).get("type")
    spec["normalizer"] = {**spec["normalizer"], "strip_accents": False} if kind == "BertNormalizer" else None
    from tokenizers import Tokenizer

    tokenizer.normalizer = Tokenizer.from_str(json.dumps(spec)).normalizer
    return model


def reloaded(student, folder):
    student.save_pretrained(str(folder))
    return SentenceTransformer(str(folder), device="cpu")


@pytest.mark.parametrize("kind", ["WordPiece", "Unigram", "BPE"])
@pytest.mark.parametrize(
    ("vocabulary", "texts"), [("extend", TEXTS), ("extend", HINDI), ("replace", TEXTS), ("copy", None)]
)
def test_grown_students_read_both_forms_alike(tmp_path, make_teacher, kind, vocabulary, texts):
    teacher = keeping_accents(make_teacher(kind))
    student = grow_student(teacher, texts, vocabulary=vocabulary, vocab_size=len(teacher.tokenizer) + 60)
    model = reloaded(student, tmp_path / "saved")
    for text in (*TEXTS[:2], *HINDI[:1]):
        composed, decomposed = (model.tokenizer(unicodedata.normalize(form, text)) for form in ("NFC", "NFD"))
        assert dict(composed) == dict(decomposed)
    english = "the goat sleeps"
    if vocabulary != "replace":
        assert model.tokenizer(english)["input_ids"] == teacher.tokenizer(english)["input_ids"]


def test_adapted_students_too(tmp_path):
    teacher = tiny_models.dense(tmp_path, tiny_models.ENGLISH)
    other = keeping_accents(tiny_models.dense(tmp_path, [*tiny_models.SWAHILI, *TEXTS], seed=1))
    other.save_pretrained(str(tmp_path / "other"))
    model = reloaded(adapt_student(str(tmp_path / "other"), teacher), tmp_path / "saved")
    a, b = (model.tokenizer(unicodedata.normalize(form, TEXTS[0]))["input_ids"] for form in ("NFC", "NFD"))
    assert a == b


def test_a_normalizer_that_knows_one_form_is_left():
    for spec in (
        {"type": "NFKC"},
        {"type": "BertNormalizer", "lowercase": True, "strip_accents": None},
        {"type": "Sequence", "normalizers": [{"type": "Nmt"}, {"type": "NFKC"}]},
    ):
        assert composed_first(spec) == spec
    cased = {"type": "BertNormalizer", "lowercase": False, "strip_accents": None}
    assert composed_first(cased)["normalizers"] == [{"type": "NFC"}, cased]
    assert composed_first({"type": "Sequence", "normalizers": []})["normalizers"] == [{"type": "NFC"}]
