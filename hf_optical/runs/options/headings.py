"""Headings of the help of a training run, by the first option of each group."""

from __future__ import annotations

HEADINGS = {
    "teacher": "Models and data",
    "query_passages": "Questions and passages to train retrieval on",
    "index_rows": "The index itself",
    "eval": "Evaluation",
    "objective": "Objective",
    "vocab_size": "A grown student",
    "lexicon": "Lexical injection before training",
    "adapter": "Adapters",
    "max_steps": "Training",
    "output_dir": "Output, resuming, logging, publishing",
}
