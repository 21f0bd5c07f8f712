"""Trimming: the same ids and vectors on covered text, for Unigram and WordPiece, dense and late interaction."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sentence_transformers import MultiVectorEncoder, SentenceTransformer
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, BertConfig, BertModel, XLMRobertaConfig, XLMRobertaModel

from hf_optical.errors import HFOpticalError, InputError
from hf_optical.publishing.samples import read_sample
from hf_optical.publishing.tokenizer_rows import rows_to_keep, with_rows
from hf_optical.publishing.trim import prove, trim
from hf_optical.publishing.trim_proof import TrimProof

SYLLABLES = ["ba", "ke", "mi", "no", "tu", "sha", "lo", "ri", "wa", "ngo", "pe", "zi"]


def _sentences(seed: int, count: int, syllables: list[str] = SYLLABLES) -> list[str]:
    draw = random.Random(seed)
    words = ["".join(draw.choices(syllables, k=draw.randint(1, 4))) for _ in range(150)]
    return [" ".join(draw.choices(words, k=draw.randint(2, 9))) for _ in range(count)]


LATIN = _sentences(0, 300)
OTHER = _sentences(1, 300, ["га", "ле", "ши", "мо", "ну", "ра", "ћу"])


def _write(folder: Path, tokenizer: Tokenizer, kind: str) -> None:
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": kind, "model_max_length": 64}))


@pytest.fixture(scope="module")
def xlmr(tmp_path_factory) -> SentenceTransformer:
    """XLM-R in small: Unigram, <s> <pad> </s> <unk> first and <mask> last, read by XLM-R's own tokenizer class."""
    folder = tmp_path_factory.mktemp("xlmr")
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    specials = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(vocab_size=500, special_tokens=specials, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(LATIN + OTHER, trainer)
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    _write(folder, tokenizer, "XLMRobertaTokenizer")
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    config = XLMRobertaConfig(
        vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=66, type_vocab_size=1, **shape
    )
    XLMRobertaModel(config).save_pretrained(folder)
    prompts = {"query": "ba: ", "document": ""}
    return SentenceTransformer(
        modules=[Transformer(str(folder)), Pooling(16), Normalize()], prompts=prompts, device="cpu"
    )


def _bert(folder: Path) -> Transformer:
    """BERT in small: [PAD] first, unused rows between it and [UNK] [CLS] [SEP] [MASK], whose ids must move."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    specials = ["[PAD]", *(f"[unused{i}]" for i in range(20)), "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[Q] "]
    tokenizer.train_from_iterator(
        [*LATIN, *OTHER, ". , !"],
        trainers.WordPieceTrainer(vocab_size=400, special_tokens=specials, show_progress=False),
    )
    spec = json.loads(tokenizer.to_str())
    spec["added_tokens"] = [token for token in spec["added_tokens"] if "unused" not in token["content"]]
    tokenizer = Tokenizer.from_str(json.dumps(spec))
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 23), ("[CLS]", 22))
    _write(folder, tokenizer, "BertTokenizer")
    torch.manual_seed(1)
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    config = BertConfig(vocab_size=tokenizer.get_vocab_size(), max_position_embeddings=64, **shape)
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return Transformer(str(folder))


@pytest.fixture(scope="module")
def bert(tmp_path_factory) -> SentenceTransformer:
    body = _bert(tmp_path_factory.mktemp("bert"))
    return SentenceTransformer(modules=[body, Pooling(16)], device="cpu")


def test_unigram_keeps_ids_vectors_and_settings(xlmr):
    whole = len(xlmr.tokenizer)
    trimmed = trim(xlmr, LATIN)
    small = trimmed.model
    assert len(small.tokenizer) == len(trimmed.kept) < 0.7 * whole
    assert len(xlmr.tokenizer) == whole and len(xlmr[0].model.get_input_embeddings().weight) == whole
    for name in ("bos", "pad", "eos", "unk", "cls", "sep"):
        assert getattr(small.tokenizer, f"{name}_token_id") == getattr(xlmr.tokenizer, f"{name}_token_id")
    assert small.tokenizer.mask_token_id == len(trimmed.kept) - 1
    assert small[0].model.config.vocab_size == len(trimmed.kept)
    assert small.prompts == xlmr.prompts and small.max_seq_length == xlmr.max_seq_length
    # Independently of `prove`: ids through the map, and vectors, of every sentence.
    for text in LATIN[:50]:
        ids = small.tokenizer(text)["input_ids"]
        assert [trimmed.kept[number] for number in ids] == xlmr.tokenizer(text)["input_ids"]
    np.testing.assert_array_equal(small.encode_query(LATIN), xlmr.encode_query(LATIN))
    rows = small[0].model.get_input_embeddings().weight
    assert torch.equal(rows, xlmr[0].model.get_input_embeddings().weight[torch.tensor(trimmed.kept)])


def test_the_trimmed_model_is_what_a_folder_holds(xlmr, tmp_path):
    trimmed = trim(xlmr, LATIN)
    trimmed.model.save_pretrained(str(tmp_path / "m"))
    again = SentenceTransformer(str(tmp_path / "m"), device="cpu")
    np.testing.assert_array_equal(again.encode(LATIN[:20]), xlmr.encode(LATIN[:20]))
    assert (
        AutoTokenizer.from_pretrained(tmp_path / "m")(LATIN[0])["input_ids"] == again.tokenizer(LATIN[0])["input_ids"]
    )
    assert not list((tmp_path / "m").glob("*.bin"))


def test_proof_of_unigram_counts_what_is_covered(xlmr):
    trimmed = trim(xlmr, LATIN)
    proof = prove(xlmr, trimmed, LATIN + OTHER).check()
    assert proof.texts == 600
    assert proof.covered == proof.identical_ids == proof.encoded == 300
    assert proof.largest_difference == 0
    assert 0.3 < proof.pieces_kept < 0.9
    assert proof.bytes_after < proof.bytes_before
    assert "300 of 600" in proof.sentence()


def test_unknown_characters_are_cut_as_before(xlmr):
    # The score of an unknown character hangs on the lowest score of the vocabulary, whose piece is therefore kept.
    trimmed = trim(xlmr, LATIN)
    texts = [f"{text} ☃{other}☃ 中文" for text, other in pairwise(LATIN)]
    assert prove(xlmr, trimmed, texts).check().covered > 250  # the others need a piece that LATIN does not


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_unigram_json_cuts_covered_text_as_the_whole_does(xlmr, data):
    spec = json.loads(xlmr.tokenizer.backend_tokenizer.to_str())
    whole = Tokenizer.from_str(json.dumps(spec))
    alphabet = st.text(st.sampled_from("bakemitulo ☃гар"), max_size=30)
    texts = data.draw(st.lists(alphabet, min_size=1, max_size=4))
    used = {number for text in texts for number in whole.encode(text).ids}
    kept = rows_to_keep(spec, used)
    small = Tokenizer.from_str(json.dumps(with_rows(spec, kept)))
    for text in texts:
        assert [kept[number] for number in small.encode(text).ids] == whole.encode(text).ids


def test_wordpiece_special_ids_move_and_vectors_stay(bert):
    trimmed = trim(bert, LATIN)
    assert trimmed.model.tokenizer.cls_token_id < bert.tokenizer.cls_token_id == 22
    assert trimmed.model.tokenizer.pad_token_id == 0
    ids = trimmed.model.tokenizer(LATIN[0])["input_ids"]
    assert (ids[0], ids[-1]) == (trimmed.model.tokenizer.cls_token_id, trimmed.model.tokenizer.sep_token_id)
    proof = prove(bert, trimmed, LATIN).check(0.0)
    assert proof.covered == len(LATIN)
    # Other words of the same letters are still read, cut finer.
    assert trimmed.model.tokenizer.unk_token_id not in trimmed.model.tokenizer("tutututu zizi")["input_ids"]


def test_late_interaction_keeps_its_skipped_and_expansion_words(tmp_path):
    torch.manual_seed(0)
    project = Dense(16, 8, bias=False, activation_function=torch.nn.Identity(), module_input_name="token_embeddings")
    body = _bert(tmp_path)
    body.query_expansion = {"strategy": "fixed", "token": "[MASK]", "length": 16}
    model = MultiVectorEncoder(
        modules=[
            body,
            project,
            Normalize(module_input_name="token_embeddings"),
            MultiVectorMask(skiplist_words=[".", ","]),
        ],
        device="cpu",
    )
    trimmed = trim(model, LATIN)
    texts = [text.replace(" ", ", ", 1) + "." for text in LATIN[:40]]
    assert prove(model, trimmed, texts).check(0.0).covered == 40
    assert trimmed.model.tokenizer.mask_token_id < body.tokenizer.mask_token_id
    lengths = [[len(rows) for rows in each.encode_document(texts)] for each in (model, trimmed.model)]
    assert lengths[0] == lengths[1]
    skipped = [len(rows) for rows in trimmed.model.encode_document([text.rstrip(".") for text in texts])]
    assert skipped == lengths[0]  # the full stop was skipped, so leaving it out changes nothing


def test_min_count_drops_rare_pieces(xlmr):
    assert len(trim(xlmr, LATIN, min_count=30).kept) < len(trim(xlmr, LATIN).kept)


def test_a_wrong_row_is_found_by_the_proof(xlmr):
    trimmed = trim(xlmr, LATIN)
    table = trimmed.model[0].model.get_input_embeddings().weight
    with torch.no_grad():
        table[[10, 11]] = table[[11, 10]]
    with pytest.raises(HFOpticalError, match="embeddings differ by"):
        prove(xlmr, trimmed, LATIN).check()
    with pytest.raises(HFOpticalError, match="1 of 9 covered texts have other token ids"):
        TrimProof(10, 9, 1.0, 8, 9, 0.0, 2, 1, 2, 1).check()
    with pytest.raises(HFOpticalError):
        TrimProof(10, 9, 1.0, 9, 9, float("nan"), 2, 1, 2, 1).check()


def test_refusals(xlmr, bert):
    with pytest.raises(InputError, match="texts is empty"):
        trim(xlmr, [])
    with pytest.raises(InputError, match=r"row 2.*expected a sentence"):
        trim(xlmr, ["ba", " "])
    with pytest.raises(InputError, match="min_count"):
        trim(xlmr, LATIN, min_count=0)
    with pytest.raises(InputError, match="no text is covered"):
        prove(bert, trim(bert, LATIN), OTHER)
    spec = json.loads(bert.tokenizer.backend_tokenizer.to_str())
    with pytest.raises(InputError, match=r"'\[SEP\]' \(id 23\) is not kept"):
        with_rows({**spec, "added_tokens": []}, [0, 22])
    with pytest.raises(InputError, match="id 99999"):
        rows_to_keep(spec, [99_999])


def test_bpe_is_refused(xlmr, monkeypatch):
    monkeypatch.setattr(
        "hf_optical.publishing.trim.json.loads", lambda text: {"model": {"type": "BPE", "vocab": {}, "merges": []}}
    )
    with pytest.raises(InputError, match="'BPE'"):
        trim(xlmr, LATIN)


def test_adapters_inside_are_refused(bert):
    bert[0].model.peft_config = {"default": None}
    try:
        with pytest.raises(InputError, match="LoRA adapters"):
            trim(bert, LATIN)
    finally:
        del bert[0].model.peft_config


def test_samples_are_read_from_text_and_tables(tmp_path):
    (tmp_path / "a.txt").write_text("habari\n\n ndiyo \n", encoding="utf-8")
    assert read_sample(tmp_path / "a.txt") == ["habari", "ndiyo"]
    (tmp_path / "a.jsonl").write_text('{"en": "dog", "xx": "mbwa"}\n{"en": "cat", "xx": ""}\n', encoding="utf-8")
    assert read_sample(tmp_path / "a.jsonl", ["en"]) == ["dog", "cat"]
    with pytest.raises(InputError, match=r"row 2, field 'xx'"):
        read_sample(tmp_path / "a.jsonl", ["en", "xx"])
    with pytest.raises(InputError, match="no such column; found en, xx"):
        read_sample(tmp_path / "a.jsonl")
    with pytest.raises(InputError, match="no such file"):
        read_sample(tmp_path / "b.txt")


@pytest.mark.real
def test_a_real_english_model(english_teacher_path):
    model = SentenceTransformer(str(english_teacher_path), device="cpu")
    texts = ["The goat sleeps under the tree.", "Rain is expected in the coast region.", "Who wrote it?"]
    trimmed = trim(model, texts)
    assert len(trimmed.kept) < 1_000
    assert prove(model, trimmed, texts).check(1e-6).covered == 3
