"""Finished runs, as recipes/train.py leaves them, to be published."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer

RESULTS = {
    "command": "recipes/train.py",
    "seed": 0,
    "config": {"teacher": "owner/english", "student": "copy", "language": "swh_Latn"},
    "data": [{"path": "pairs.jsonl", "rows": 24, "sha256": "0" * 64}],
    "evaluations": [
        {
            "set": "s",
            "language": "swh_Latn",
            "n": 2,
            "after": {"ndcg@10": 0.5, "mrr@10": 0.5, "recall@10": 1.0, "map": 0.5},
        }
    ],
    "pairs": 24,
}
TEXTS = ["the goat sleeps under the tree", "a child sees the red house"]


def write_run(folder: Path, model) -> Path:
    """What train.py leaves."""
    model.save_pretrained(str(folder / "model"))
    (folder / "results.json").write_text(json.dumps(RESULTS))
    return folder


def add_adapter(run: Path) -> None:
    """An adapter as peft writes it, with weights that are not zero."""
    from peft import LoraConfig, get_peft_model

    inner = SentenceTransformer(str(run / "model"), device="cpu").transformers_model
    torch.manual_seed(3)
    wrapped = get_peft_model(inner, LoraConfig(r=2, target_modules=["query", "value"], init_lora_weights=False))
    wrapped.save_pretrained(run / "adapters" / "swh_Latn")
