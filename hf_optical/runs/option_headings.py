"""Headings of the help of a training run, by the first option of each group."""

from __future__ import annotations

HEADINGS = {
    "teacher": "What is taught, and from what",
    "query_passages": "Questions and passages to train retrieval on, beside the pairs",
    "eval": "Measuring",
    "output_dir": "Output",
    "objective": "Objective",
    "query_prompt": "Prompts",
    "vocab_size": "A grown student",
    "lexicon": "Lexical injection before the training",
    "adapter": "Adapters",
    "max_steps": "Training",
    "shared": "Kept between runs",
    "measure_start": "Checks",
    "save_steps": "Going on, logging, sending",
    "plan": "Only a plan",
}
