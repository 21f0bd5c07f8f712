from __future__ import annotations

import pytest
import torch
from tiny_translators import SIZES, WORDS, model_folder
from transformers import (
    MarianConfig,
    MarianMTModel,
)

from hf_optical.errors import InputError
from hf_optical.evaluation.translate_test import Translator, translations


def test_a_bilingual_model_translates_in_the_order_of_the_texts(tmp_path):
    translate = Translator(model_folder(tmp_path, "marian"), "sw", num_beams=2, max_new_tokens=6)
    texts = ["mbuzi", "mbuzi analala mtoto analala", "mtoto analala"]
    together, alone = translate(texts, batch_size=2), [translate([text])[0] for text in texts]
    assert together == alone and any(together)
    assert translate(texts) == together  # beams, no sampling


def test_a_model_into_several_languages_is_told_which(tmp_path):
    translate = Translator(model_folder(tmp_path, "marian", [">>fra<<", ">>eng<<"]), "sw", max_new_tokens=4)
    seen = []
    tokenizer = translate.tokenizer
    translate.tokenizer = type("Spy", (), {
        "__call__": lambda self, texts, **kw: seen.extend(texts) or tokenizer(texts, **kw),
        "batch_decode": tokenizer.batch_decode,
    })()  # fmt: skip
    translate(["mbuzi"])
    assert seen == [">>eng<< mbuzi"]


@pytest.mark.parametrize("codes", [("swh_Latn", "eng_Latn"), ("__sw__", "__en__"), ("sw_KE", "en_XX")])
def test_models_of_many_languages_are_told_source_and_target(tmp_path, codes):
    translate = Translator(model_folder(tmp_path, "m2m_100", codes), "swh_Latn", max_new_tokens=4)
    assert translate._options["forced_bos_token_id"] == translate.tokenizer.convert_tokens_to_ids(codes[1])
    assert translate.tokenizer.src_lang == codes[0].strip("_")
    assert len(translate(["mbuzi analala"])) == 1
    with pytest.raises(InputError, match="does not know som_Latn"):
        Translator(str(tmp_path), "so")


def test_an_empty_translation_leaves_the_query(tmp_path):
    translate = Translator(model_folder(tmp_path, "marian"), "sw", max_new_tokens=4)
    translate.tokenizer.batch_decode = lambda found, **options: [" "] * len(found)
    assert translations(translate, {"a": "mbuzi", "b": "mtoto"}) == {"a": "mbuzi", "b": "mtoto"}


def test_what_is_no_translation_model_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no translation model could be loaded .*NLLB"):
        Translator(str(tmp_path / "nothing"), "sw")


def test_opus_mt_s_own_tokenizer(tmp_path):
    """A Marian folder as Opus-MT publishes it: two sentencepiece models and a vocabulary."""
    sentencepiece = pytest.importorskip("sentencepiece", reason="pip install 'hf-optical[translate]'")
    import json

    from transformers import MarianTokenizer

    (tmp_path / "text.txt").write_text("\n".join([" ".join(WORDS), "mbuzi analala", "the goat sleeps"] * 20))
    for side in ("source", "target"):
        sentencepiece.SentencePieceTrainer.train(
            input=str(tmp_path / "text.txt"), model_prefix=str(tmp_path / side), vocab_size=40, hard_vocab_limit=False,
            minloglevel=2,
        )  # fmt: skip
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "source.model"))
    known = [pieces.id_to_piece(i) for i in range(pieces.get_piece_size())]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(["</s>", "<unk>", *known, "<pad>"]))}
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary))
    folder = tmp_path / "opus"
    MarianTokenizer(
        source_spm=str(tmp_path / "source.model"), target_spm=str(tmp_path / "target.model"),
        vocab=str(tmp_path / "vocab.json"), source_lang="swh", target_lang="eng",
    ).save_pretrained(folder)  # fmt: skip
    pad = vocabulary["<pad>"]
    torch.manual_seed(0)
    MarianMTModel(
        MarianConfig(vocab_size=len(vocabulary), pad_token_id=pad, eos_token_id=0, decoder_start_token_id=pad, **SIZES)
    ).save_pretrained(folder)
    translate = Translator(str(folder), "sw", max_new_tokens=5)
    assert isinstance(translate.tokenizer, MarianTokenizer)
    assert len(translate(["mbuzi analala", "mtoto"])) == 2
