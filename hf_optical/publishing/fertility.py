"""Fertility: into how many tokens a tokenizer cuts a word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hf_optical.errors import InputError


def fertility(tokenizer: Any, texts: Sequence[str]) -> tuple[float, int]:
    """Mean number of tokens per word, words being what white space parts.

    Args:
        tokenizer: Of transformers.
        texts: Sentences of one language.

    Returns:
        The mean, and the number of words it was taken over.

    Raises:
        InputError: There are no words.
    """
    words = sum(len(text.split()) for text in texts)
    if not words:
        raise InputError("there are no words to measure the tokenizer on", "give sentences", field="texts")
    lines = tokenizer(list(texts), add_special_tokens=False, truncation=False, verbose=False)["input_ids"]
    return sum(len(line) for line in lines) / words, words
