"""Tiny random encoders, made in milliseconds: the tests' stand-ins for teachers and students."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from datasets import Dataset
from sentence_transformers import MultiVectorEncoder, SentenceTransformer
from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask
from sentence_transformers.sentence_transformer.modules import Dense, Normalize, Pooling, Transformer
from tokenizers import Tokenizer, normalizers, pre_tokenizers, processors
from tokenizers.models import WordLevel
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

ENGLISH = ["the", "a", "goat", "dog", "child", "teacher", "sleeps", "eats", "runs", "sees"]
ENGLISH += ["in", "under", "near", "house", "tree", "river", "big", "small", "red", "and"]
SWAHILI = ["mbuzi", "mbwa", "mtoto", "mwalimu", "analala", "anakula", "anakimbia", "anaona"]
SWAHILI += ["katika", "chini", "karibu", "nyumba", "mti", "mto", "kubwa", "ndogo"]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def _transformer(
    folder: Path, words: Sequence[str], width: int, layers: int, seed: int, positions: int = 32
) -> Transformer:
    vocabulary = {word: index for index, word in enumerate([*SPECIAL, *words])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_max_length=positions,
    )
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=2 * width,
        max_position_embeddings=positions,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    folder.mkdir(parents=True, exist_ok=True)
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    fast.save_pretrained(folder)
    return Transformer(str(folder))


def dense(
    folder: Path,
    words: Sequence[str] = ENGLISH,
    *,
    width: int = 16,
    layers: int = 1,
    seed: int = 0,
    positions: int = 32,
) -> SentenceTransformer:
    """A dense encoder: mean pooling, normalised."""
    body = _transformer(Path(folder) / f"dense-{width}-{seed}-{len(words)}", words, width, layers, seed, positions)
    return SentenceTransformer(modules=[body, Pooling(width), Normalize()], device="cpu")


def late(
    folder: Path, words: Sequence[str] = ENGLISH, *, width: int = 16, out: int = 8, seed: int = 0
) -> MultiVectorEncoder:
    """A late-interaction encoder: token vectors projected and normalised."""
    body = _transformer(Path(folder) / f"late-{width}-{seed}-{len(words)}", words, width, 1, seed)
    torch.manual_seed(seed)
    project = Dense(
        width, out, bias=False, activation_function=torch.nn.Identity(), module_input_name="token_embeddings"
    )
    return MultiVectorEncoder(
        modules=[body, project, Normalize(module_input_name="token_embeddings"), MultiVectorMask()], device="cpu"
    )


def bitext(rows: int = 24, seed: int = 0) -> Dataset:
    """Rows of random English and Swahili words, of unequal length."""
    generator = torch.Generator().manual_seed(seed)

    def sentence(words: Sequence[str]) -> str:
        length = int(torch.randint(2, 7, (1,), generator=generator))
        return " ".join(words[int(i)] for i in torch.randint(0, len(words), (length,), generator=generator))

    return Dataset.from_dict(
        {"source": [sentence(ENGLISH) for _ in range(rows)], "translation": [sentence(SWAHILI) for _ in range(rows)]}
    )
