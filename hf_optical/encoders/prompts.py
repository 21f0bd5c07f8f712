"""Position at which a text begins after its prompt, counted without the space at the prompt's end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hf_optical.encoders.feature_keys import TEXT_START


def text_start(tokenizer: Any, prompt: str | None) -> int:
    """Count the tokens before a text that is encoded with a prompt, including the leading special token.

    ``features["prompt_length"]`` of sentence-transformers is the length of the tokenised prompt. SentencePiece makes a
    token of the space at its end (``query: ``) that belongs to the first word of the text as soon as there is one, so
    that this length counts the first word in. Here the prompt is counted without that space.

    Args:
        tokenizer: A tokenizer of transformers.
        prompt: Prompt before the text; ``None`` or ``""`` for no prompt.

    Returns:
        0 without a prompt.
    """
    if not prompt or not prompt.strip():
        return 0
    ids = tokenizer(prompt.rstrip())["input_ids"]
    closing = {getattr(tokenizer, name, None) for name in ("eos_token_id", "sep_token_id")} - {None}
    return len(ids) - int(len(ids) > 1 and ids[-1] in closing)


def with_text_start(features: Mapping[str, Any], tokenizer: Any, prompt: str | None) -> dict[str, Any]:
    """Add the position at which texts begin to features, for the token view; unchanged without a prompt."""
    start = text_start(tokenizer, prompt)
    return {**features, TEXT_START: start} if start else dict(features)
