"""Tiny English teacher of the sample data: a BERT of two layers, trained within seconds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from hf_optical.commands.sample.generate import Sample

_MAX_TOKENS = 96


def english_tokenizer(texts: list[str], vocab_size: int = 1200) -> PreTrainedTokenizerFast:
    """Train a lower-casing WordPiece tokenizer on English texts.

    Args:
        texts: Texts to train on.
        vocab_size: Largest number of pieces, including special tokens.
    """
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))  # noqa: S106
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True, strip_accents=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.train_from_iterator(
        texts, trainers.WordPieceTrainer(vocab_size=vocab_size, special_tokens=special, show_progress=False)
    )
    ends = [(name, tokenizer.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends
    )
    names = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=_MAX_TOKENS,
        **{f"{name}_token": token for name, token in names.items()},
    )


def build_teacher(
    sample: Sample,
    folder: str | Path,
    seed: int = 0,
    *,
    width: int = 96,
    layers: int = 2,
    steps: int = 200,
    batch_size: int = 64,
    learning_rate: float = 2e-3,
) -> SentenceTransformer:
    """Train the teacher on the English questions and passages of the sample data, and save it.

    The training is contrastive with in-batch negatives (`MultipleNegativesRankingLoss`), with a learning rate that
    rises and falls linearly.

    Args:
        sample: Sample data, of which `retrieval` is the training data; the tokenizer is trained on the bitext's English
            sentences too.
        folder: Folder in which the model is saved as sentence-transformers saves it.
        seed: Seed of the weights and of the order of the pairs.
        width: Width of the token and sentence vectors.
        layers: Number of transformer layers.
        steps: Number of optimizer steps.
        batch_size: Pairs per step.
        learning_rate: Peak learning rate of AdamW.

    Returns:
        The trained teacher, in evaluation mode on the CPU.
    """
    folder = Path(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _untrained(sample, width, layers)
        _train(model, sample.retrieval, Random(seed), steps, batch_size, learning_rate)
    model.eval()
    model.save_pretrained(str(folder))
    return model


def _untrained(sample: Sample, width: int, layers: int) -> SentenceTransformer:
    """Build the teacher with a tokenizer for the sample's English texts and random weights."""
    texts = [text for pair in sample.retrieval for text in pair]
    texts += [pair["source"] for pairs in sample.bitext.values() for pair in pairs]
    tokenizer = english_tokenizer(texts)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=4,
        intermediate_size=2 * width,
        max_position_embeddings=_MAX_TOKENS,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    # The Transformer module of sentence-transformers can only be built from a saved model.
    with TemporaryDirectory() as raw:
        BertModel(config).save_pretrained(raw)
        tokenizer.save_pretrained(raw)
        body = Transformer(raw, max_seq_length=_MAX_TOKENS)
    return SentenceTransformer(modules=[body, Pooling(width, "mean"), Normalize()], device="cpu")


def _train(
    model: SentenceTransformer,
    pairs: list[tuple[str, str]],
    random: Random,
    steps: int,
    batch_size: int,
    learning_rate: float,
) -> None:
    """Train the model for a number of steps with AdamW."""
    loss = MultipleNegativesRankingLoss(model, scale=20.0)
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, learning_rate, total_steps=steps, pct_start=0.1, anneal_strategy="linear", cycle_momentum=False
    )
    model.train()
    for _, batch in zip(range(steps), _batches(pairs, random, batch_size), strict=False):
        features: list[dict[str, Any]] = [model.preprocess(list(texts)) for texts in zip(*batch, strict=True)]
        optimizer.zero_grad()
        loss(features, torch.empty(0)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()


def _batches(pairs: list[tuple[str, str]], random: Random, size: int) -> Iterator[list[tuple[str, str]]]:
    """Yield batches without end, none of which has a passage twice, as its second copy would be a false negative."""
    while True:
        waiting = random.sample(pairs, len(pairs))
        batch: dict[str, tuple[str, str]] = {}
        for question, passage in waiting:
            batch.setdefault(passage, (question, passage))
            if len(batch) == size:
                yield list(batch.values())
                batch = {}
