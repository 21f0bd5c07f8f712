"""Trimming, measured: a model of XLM-R's shape, 250,002 rows, cut down to five languages, and what that proves.

``python benchmarks/trim.py --data ../shared/data``. The vocabulary is a real Unigram one, trained here on the data's
texts in eleven languages and laid out as XLM-R's; the weights are random, because only rows and sizes matter. With
``--width 768 --layers 12`` the file is that of XLM-R base.

``--model RUN/model --teacher T --languages sw --eval ../shared/data/eval/ntrex_passage`` trims a trained student
instead, to its language and English, and reads the set's queries before and after. ``--min_count 1 2`` tries both.
"""

from __future__ import annotations

import gzip
import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import XLMRobertaConfig, XLMRobertaModel, XLMRobertaTokenizer

from hf_optical.configuration.parsing import run
from hf_optical.data.retrieval import read_retrieval_set
from hf_optical.encoders.models import load_encoder
from hf_optical.publishing.trim import prove, trim
from hf_optical.publishing.trim_proof import retrieval_before_and_after
from hf_optical.results.files import write_json

ROWS = 250_002
_HELD_OUT = 1_000  # sentences of each language that the vocabulary to keep was not chosen by


@dataclass
class TrimBenchmark:
    """Options."""

    data: str = field(
        default="../shared/data", metadata={"help": "Folder with bitext/<language>.train.jsonl.gz.", "path": True}
    )
    languages: list[str] = field(default_factory=lambda: ["sw", "so", "tl", "mr"], metadata={"help": "And English."})
    width: int = field(default=64, metadata={"help": "Hidden size."})
    layers: int = field(default=2, metadata={"help": "Layers."})
    sample: int = field(default=6_000, metadata={"help": "Sentences of each language to choose the vocabulary by."})
    sentences: int = field(default=10_000, metadata={"help": "Covered sentences to compare."})
    min_count: list[int] = field(default_factory=lambda: [2], metadata={"help": "As in trim; one or several."})
    model: str | None = field(
        default=None, metadata={"help": "A model to trim in place of the random one.", "path": True}
    )
    teacher: str | None = field(default=None, metadata={"help": "Reads the documents of --eval.", "path": True})
    eval: list[str] = field(
        default_factory=list, metadata={"help": "Retrieval sets, for nDCG@10 before and after.", "path": True}
    )
    vocabulary: str | None = field(
        default=None, metadata={"help": "Keep the trained tokenizer in this file.", "path": True}
    )
    output: str | None = field(default=None, metadata={"help": "Write the figures into this JSON file.", "path": True})


def main(config: TrimBenchmark) -> None:
    """Build, trim, prove, measure."""
    torch.manual_seed(0)
    with TemporaryDirectory() as folder:
        if config.model:
            model: Any = load_encoder(config.model, device="cpu")
        else:
            model = _xlm_roberta_shape(config, Path(folder))
        chosen, held_out = [], []
        for language in [*config.languages, "en"]:
            texts = list(_texts(config, language))
            random.Random(0).shuffle(texts)
            held_out += texts[:_HELD_OUT]
            chosen += texts[_HELD_OUT : _HELD_OUT + config.sample]
        sets = [read_retrieval_set(place, language) for place in config.eval for language in config.languages]
        name = Path(config.model).name if config.model else f"random, {config.layers} layers, width {config.width}"
        results: dict[str, Any] = {"model": name, "languages": [*config.languages, "en"], "sample": len(chosen)}
        for min_count in config.min_count:
            started = time.process_time()
            trimmed = trim(model, chosen, min_count=min_count)
            seconds = time.process_time() - started
            row: dict[str, Any] = {"seconds": round(seconds, 1)}
            for kind, texts in (("sample", chosen), ("held out", held_out)):
                proof = prove(model, trimmed, texts, max_encoded=config.sentences).check()
                print(f"min_count {min_count}, {kind}: {proof.sentence()}", flush=True)
                row[kind] = proof.as_dict()
            if sets:
                documents: Any = load_encoder(str(config.teacher), device="cpu")
                row["retrieval"] = retrieval_before_and_after(model, trimmed.model, sets, documents)
                for found in row["retrieval"]:
                    print(f"{found['set']} {found['language']}: {found['verdict']}", flush=True)
            if not config.model:
                row["xlm_roberta_base_weights_ratio"] = ratio = _base_ratio(len(trimmed.kept))
                print(f"weights of XLM-R base (width 768, 12 layers) with these rows: {100 * ratio:.1f} % of before")
            print(f"{seconds:.0f} s to trim by {len(chosen):,} sentences")
            results[f"min_count {min_count}"] = row
        if config.output:
            write_json(Path(config.output), results)


def _base_ratio(rows: int) -> float:
    """Parameters of XLM-R base with so many rows, as a share of those with all."""
    with torch.device("meta"):
        shape = {"max_position_embeddings": 514, "type_vocab_size": 1}  # the rest is the class's default
        model = XLMRobertaModel(XLMRobertaConfig(vocab_size=ROWS, **shape), add_pooling_layer=False)
    whole = sum(parameter.numel() for parameter in model.parameters())
    return (whole - (ROWS - rows) * model.config.hidden_size) / whole


def _texts(config: TrimBenchmark, language: str) -> Iterator[str]:
    folder = Path(config.data) / "bitext"
    names = [language] if language != "en" else config.languages
    for name in names:
        with gzip.open(folder / f"{name}.train.jsonl.gz", "rt", encoding="utf-8") as stream:
            yield from (json.loads(line)["en" if language == "en" else "xx"] for line in stream)


def _all_texts(config: TrimBenchmark) -> Iterator[str]:
    for path in sorted((Path(config.data) / "bitext").glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            for line in stream:
                row = json.loads(line)
                yield from (row["xx"], row["en"])
    with gzip.open(Path(config.data) / "en_retrieval" / "train.jsonl.gz", "rt", encoding="utf-8") as stream:
        for line in stream:
            row = json.loads(line)
            yield from (row["query"], row["passage"])


def _vocabulary(config: TrimBenchmark) -> Tokenizer:
    """A Unigram tokenizer of 250,002 pieces in XLM-R's layout: <s> <pad> </s> <unk>, pieces, <mask>."""
    if config.vocabulary and Path(config.vocabulary).is_file():
        return Tokenizer.from_file(config.vocabulary)
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")]
    )
    specials = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(
        vocab_size=ROWS - 1, special_tokens=specials, unk_token="<unk>", shrinking_factor=0.9, show_progress=False
    )
    tokenizer.train_from_iterator(_all_texts(config), trainer)
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, special=True)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    print(f"vocabulary: {tokenizer.get_vocab_size():,} pieces")
    if config.vocabulary:
        tokenizer.save(config.vocabulary)
    return tokenizer


def _xlm_roberta_shape(config: TrimBenchmark, folder: Path) -> SentenceTransformer:
    tokenizer = _vocabulary(config)
    # What is written is read back by the class of XLM-R's tokenizer, which keeps the vocabulary and post-processor.
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"tokenizer_class": "XLMRobertaTokenizer", "model_max_length": 512}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    model = XLMRobertaModel(
        XLMRobertaConfig(
            vocab_size=ROWS,
            hidden_size=config.width,
            num_hidden_layers=config.layers,
            num_attention_heads=max(1, config.width // 64),
            intermediate_size=4 * config.width,
            max_position_embeddings=514,
            type_vocab_size=1,
        ),
        add_pooling_layer=False,
    )
    model.save_pretrained(folder)
    body = Transformer(str(folder))
    assert isinstance(body.tokenizer, XLMRobertaTokenizer)
    assert len(body.tokenizer) == ROWS
    return SentenceTransformer(modules=[body, Pooling(config.width), Normalize()], device="cpu")


if __name__ == "__main__":
    run(main, TrimBenchmark)
