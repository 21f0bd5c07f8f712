"""Tiny random translation models."""

from __future__ import annotations

import torch
from tokenizers import Tokenizer, pre_tokenizers, processors
from tokenizers.models import WordLevel
from transformers import (
    M2M100Config,
    M2M100ForConditionalGeneration,
    MarianConfig,
    MarianMTModel,
    PreTrainedTokenizerFast,
)

WORDS = ["mbuzi", "analala", "mtoto", "the", "goat", "sleeps", "child"]
SIZES = {
    "d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
    "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "max_position_embeddings": 64,
}  # fmt: skip


def model_folder(folder, kind, extra=()):
    """A tiny random translation model with a tokenizer of whole words."""
    vocabulary = {word: i for i, word in enumerate(["<pad>", "</s>", "<unk>", *extra, *WORDS])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", 1)])
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=32,
        additional_special_tokens=list(extra),
    ).save_pretrained(folder)  # fmt: skip
    torch.manual_seed(0)
    common = {"vocab_size": len(vocabulary), "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0, **SIZES}
    if kind == "marian":
        model = MarianMTModel(MarianConfig(**common, forced_eos_token_id=None))
    else:
        model = M2M100ForConditionalGeneration(M2M100Config(**common, bos_token_id=0))
    model.generation_config.max_length = 12
    model.save_pretrained(folder)
    return str(folder)
