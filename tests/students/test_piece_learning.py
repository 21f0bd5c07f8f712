import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from hf_optical.encoders.parts import chosen_layers
from hf_optical.students.embedding_init import SurfaceForms, initial_rows, longest_match
from hf_optical.students.marks import without_stripping, writes_vowels_as_marks
from hf_optical.students.vocabulary import NewPieces, check_texts, extended, size_of

LETTERS = st.text(alphabet="abcd", min_size=1, max_size=12)
VOCABULARY = {piece: i for i, piece in enumerate(["a", "b", "ab", "abc", "##a", "##b", "##c", "##bc", "##d"])}


@settings(max_examples=60, deadline=None)
@given(LETTERS)
def test_longest_match_is_wordpiece_where_wordpiece_can_read(word):
    model = models.WordPiece({**VOCABULARY, "[UNK]": 99}, unk_token="[UNK]")
    expected = [token.id for token in model.tokenize(word)]
    if 99 not in expected:
        assert longest_match(word, VOCABULARY, "##", initial=True) == expected


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.data())
def test_layers_are_distinct_increasing_and_keep_the_ends(total, data):
    wanted = data.draw(st.integers(1, total))
    layers = chosen_layers(total, wanted)
    assert len(layers) == wanted
    assert layers == sorted(set(layers))
    assert layers[-1] == total - 1
    assert wanted == 1 or layers[0] == 0


def test_rows_without_a_source_follow_the_tables_statistics():
    table = torch.randn(4000, 6) * torch.arange(1, 7) + 3
    rows = initial_rows(table, [[]] * 4000, seed=1)
    torch.testing.assert_close(rows.std(0), table.std(0), rtol=0.1, atol=0)
    torch.testing.assert_close(rows.mean(0), table.mean(0), rtol=0, atol=0.4)
    assert torch.equal(rows, initial_rows(table, [[]] * 4000, seed=1))
    assert not torch.equal(rows, initial_rows(table, [[]] * 4000, seed=2))


def test_added_tokens_keep_their_ids_when_the_vocabulary_grows():
    backend = Tokenizer(models.BPE({"a": 0, "b": 1}, []))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.add_tokens(["[Q]"])
    spec = extended(json.loads(backend.to_str()), NewPieces(["ab"], merges=[("a", "b")]))
    grown = Tokenizer.from_str(json.dumps(spec))
    assert grown.encode("ab [Q] b").ids == [3, 2, 1]
    assert size_of(spec) == 4


def test_surface_form_of_punctuated_text_starts_words_anew():
    backend = Tokenizer(models.WordPiece({"[UNK]": 0, "don": 1, "'": 2, "t": 3, "##t": 4}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    assert SurfaceForms(backend).ids("don't") == [1, 2, 3]


def test_marks():
    assert writes_vowels_as_marks(["मुलांना पाणी हवे"])
    assert writes_vowels_as_marks(["น้ำดื่ม"])
    assert not writes_vowels_as_marks(["Ọmọ náà ń mu omi", "été"])
    assert not writes_vowels_as_marks(["maji safi " * 100 + "हिन्दी"])
    assert without_stripping({"type": "BertNormalizer", "strip_accents": None}) == {
        "type": "BertNormalizer",
        "strip_accents": False,
    }
    assert without_stripping(None) is None


def test_one_shot_iterators_are_read_once():
    assert list(check_texts(text for text in ["a", "b"])) == ["a", "b"]
    with pytest.raises(ValueError, match="row 2"):
        check_texts(iter(["a", 3]))
