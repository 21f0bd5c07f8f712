from __future__ import annotations

import json

import pytest
import tiny_models

from hf_optical.data.tokenizer_report import read_texts, report_tokenizer, tokenizer_table
from hf_optical.errors import InputError


@pytest.fixture
def model(tmp_path):
    return tiny_models.dense(tmp_path, [*tiny_models.SWAHILI, "a", "b"])


def test_rates_are_those_counted_by_hand(model):
    # Words: mbuzi, analala, xyz (unknown), a, mtoto!, and the "!" is a piece of its own, unknown.
    report = report_tokenizer(model, ["mbuzi analala xyz", "a mtoto!"], "swh_Latn", max_length=4)
    assert (report.texts, report.words, report.pieces) == (2, 5, 6)
    assert report.fertility == pytest.approx(6 / 5)
    assert report.characters_per_piece == pytest.approx((5 + 7 + 3 + 1 + 6) / 6)
    assert report.unknown_pieces == pytest.approx(2 / 6)
    assert report.unknown_words == pytest.approx(2 / 5)  # xyz, and mtoto! with its mark
    assert report.single_characters == pytest.approx(1 / 4)  # "a" among the four known pieces
    # Two of the four places are [CLS] and [SEP]: three pieces lose one each.
    assert report.truncated_texts == 1 and report.lost_pieces == pytest.approx(2 / 6)


def test_the_models_own_limit_counts(model):
    model.max_seq_length = 6
    report = report_tokenizer(model, ["mbuzi " * 4, "mbuzi " * 5], "swh_Latn")
    assert report.max_length == 6 and report.truncated_texts == 0.5 and report.lost_pieces == pytest.approx(1 / 9)
    assert "| swh_Latn | 2 | 1.00 |" in tokenizer_table([report])


def test_a_byte_or_unigram_tokenizer_is_counted_by_characters():
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    bytes_only = Tokenizer(
        models.BPE(dict(zip(sorted(pre_tokenizers.ByteLevel.alphabet()), range(256), strict=True)), [])
    )
    bytes_only.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    report = report_tokenizer(PreTrainedTokenizerFast(tokenizer_object=bytes_only), ["ab शे"])
    assert report.single_characters == 1 and report.max_length is None
    assert report.pieces == 3 + 6  # three bytes for each sign
    assert report.characters_per_piece == pytest.approx(4 / 9)


def test_bad_texts_are_named(model):
    with pytest.raises(InputError, match="row 2"):
        report_tokenizer(model, ["mbuzi", "  "])
    with pytest.raises(InputError, match="no texts"):
        report_tokenizer(model, [])


def test_texts_are_read_by_language(tmp_path):
    rows = [{"id": "1", "lang": "sw", "text": "mbuzi"}, {"id": "2", "lang": "so", "text": "ri"}]
    table = tmp_path / "texts.jsonl"
    table.write_text("\n".join(json.dumps(row) for row in rows))
    assert read_texts(table) == {"swh_Latn": ["mbuzi"], "som_Latn": ["ri"]}
    assert read_texts(table, language="sw") == {"swh_Latn": ["mbuzi", "ri"]}
    plain = tmp_path / "texts.txt"
    plain.write_text("mbuzi\n\nmbwa analala\n")
    assert read_texts(plain) == {"und": ["mbuzi", "mbwa analala"]}
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("en\txx\ngoat\tmbuzi\ndog\tmbwa\n")
    assert read_texts(pairs, text_field="xx", language="swh") == {"swh_Latn": ["mbuzi", "mbwa"]}
    with pytest.raises(InputError, match="found en, xx"):
        read_texts(pairs)
    table.write_text(json.dumps(rows[0]) + "\n" + json.dumps({"lang": "sw", "text": " "}))
    with pytest.raises(InputError, match="row 2, field 'text'"):
        read_texts(table)
    with pytest.raises(InputError, match="cannot be read"):
        read_texts(tmp_path / "absent.txt")
