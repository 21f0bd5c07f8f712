"""A stock ST training run of a tiny random model that writes down which rows each step saw.

Run as ``python sampling_run.py OUTPUT SAMPLER``, once per process, with the variables of `torch.distributed`.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path

import torch
from datasets import Dataset, DatasetDict
from sentence_transformers import SentenceTransformer, SentenceTransformerTrainer, SentenceTransformerTrainingArguments
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

from hf_optical.batching import HybridBatchSampler, LengthGroupedBatchSampler

ROWS = 24
FIRST_WORD = 2
NAMES = ["mono/eng_Latn", "mono/swh_Latn", "cross/eng_Latn-swh_Latn", "cross/swh_Latn-eng_Latn"]


class WritesDown(torch.nn.Module):
    """A loss that only needs some gradient, and keeps the tokens of every step."""

    def __init__(self, model, seen):
        super().__init__()
        self.model, self.seen = model, seen

    def forward(self, features, labels):
        self.seen.append((features[0]["input_ids"][:, 0] - FIRST_WORD).tolist())
        return sum(self.model(feature)["sentence_embedding"].square().mean() for feature in features)


def tiny_model(folder: Path) -> SentenceTransformer:
    """One layer of sixteen units; its words are numbers, so that a row can be told from its tokens."""
    words = ["[PAD]", "[UNK]", *(str(number) for number in range(len(NAMES) * ROWS))]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(words), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    torch.manual_seed(0)
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    transformer = Transformer(str(folder))
    return SentenceTransformer(modules=[transformer, Pooling(16)], device="cpu")


def hybrid_rows() -> DatasetDict:
    """Row ``i`` of the ``d``-th dataset has the single word ``d * ROWS + i``."""

    def rows(d: int) -> Dataset:
        words = [str(d * ROWS + i) for i in range(ROWS)]
        return Dataset.from_dict({"query": words, "passage": words})

    return DatasetDict({name: rows(d) for d, name in enumerate(NAMES)})


def grouped_rows() -> Dataset:
    words = [str(i) for i in range(len(NAMES) * ROWS)]
    return Dataset.from_dict({"query": words, "passage": [" ".join([w] * (1 + i % 5)) for i, w in enumerate(words)]})


def train(model_folder: Path, run_folder: Path, sampler: str, resume: str | None = None, **options):
    """Train, and return the rows of every step of this process, and the trainer."""
    model, seen = tiny_model(model_folder), []
    if sampler == "hybrid":
        # The one argument; the names come from the marks that the host makes for a dict of losses.
        ids = {name: range(ROWS) for name in NAMES}
        options["multi_dataset_batch_sampler"] = HybridBatchSampler.with_policy(alpha=0.5, ids=ids)
        data, loss = hybrid_rows(), dict.fromkeys(NAMES, WritesDown(model, seen))
    else:
        options["batch_sampler"] = LengthGroupedBatchSampler
        data, loss = grouped_rows(), WritesDown(model, seen)
    args = SentenceTransformerTrainingArguments(
        output_dir=str(run_folder),
        per_device_train_batch_size=4,
        use_cpu=True,
        report_to=[],
        disable_tqdm=True,
        logging_strategy="no",
        **options,
    )
    trainer = SentenceTransformerTrainer(model=model, args=args, train_dataset=data, loss=loss)
    trainer.train(resume_from_checkpoint=resume)
    return seen, trainer


def main() -> None:
    """Two epochs of twelve steps a process, then the same from a checkpoint in the middle of the second."""
    torch.set_num_threads(1)
    folder, sampler = Path(sys.argv[1]), sys.argv[2]
    own, run = folder / f"rank-{os.environ['RANK']}", folder / "run"
    whole = train(own, run, sampler, save_strategy="steps", save_steps=17, num_train_epochs=2)[0]
    resume = str(run / "checkpoint-17")
    tail = train(own, run, sampler, resume, save_strategy="no", num_train_epochs=2)[0]
    (own / "seen.json").write_text(json.dumps({"whole": whole, "tail": tail}))
    # The trainers first, the process group last. Were DDP's reducer its last owner, freeing it would join gloo's
    # threads while this one holds the GIL, which they need to drop their tensors: a deadlock (pytorch#56297).
    gc.collect()
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
