"""Fertility of a tokenizer: the mean number of tokens per word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hf_optical.errors import InputError


def fertility(tokenizer: Any, texts: Sequence[str]) -> tuple[float, int]:
    """Compute the mean number of tokens per word, with words separated by white space.

    Args:
        tokenizer: A tokenizer of transformers.
        texts: Sentences of one language.

    Returns:
        The mean, and the number of words over which it was computed.

    Raises:
        InputError: There are no words.
    """
    words = sum(len(text.split()) for text in texts)
    if not words:
        raise InputError("there are no words to measure the tokenizer on", "give sentences", field="texts")
    lines = tokenizer(list(texts), add_special_tokens=False, truncation=False, verbose=False)["input_ids"]
    return sum(len(line) for line in lines) / words, words
