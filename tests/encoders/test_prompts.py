"""Where a text begins behind its prompt, with tokenizers that write the space before a word into the word."""

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from hf_optical.encoders.feature_keys import TEXT_START
from hf_optical.encoders.prompts import text_start, with_text_start


def unigram() -> PreTrainedTokenizerFast:
    """A tokenizer of XLM-R's kind: spaces belong to the words behind them."""
    pieces = ["<s>", "</s>", "<pad>", "<unk>", "▁query", ":", "▁", "▁maji", "▁na"]
    core = Tokenizer(models.Unigram([(piece, -float(i + 1)) for i, piece in enumerate(pieces)], unk_id=3))
    core.pre_tokenizer = pre_tokenizers.Metaspace()
    core.decoder = decoders.Metaspace()
    core.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    )


@pytest.mark.parametrize("prompt", ["query: ", "query:", "query:  "])
def test_first_word_behind_a_prompt_is_text(prompt):
    tokenizer = unigram()
    start = text_start(tokenizer, prompt)
    ids = tokenizer("query: maji na")["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids)[start:] == ["▁maji", "▁na", "</s>"]


@pytest.mark.parametrize("prompt", [None, "", "  "])
def test_without_a_prompt_text_begins_at_once(prompt):
    assert text_start(unigram(), prompt) == 0
    assert TEXT_START not in with_text_start({"input_ids": torch.ones(1, 2)}, unigram(), prompt)
