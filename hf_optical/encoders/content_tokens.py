"""Token vectors of a text's content, without those of special tokens and of the prompt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from hf_optical.encoders.prompts import text_start
from hf_optical.encoders.teachers import Teacher, document_prompt, is_late_interaction, query_prompt


def prompt_tokens(model: Teacher, role: str) -> int:
    """Count the tokens that a model's prompt takes before a text, the leading special token included.

    Args:
        model: A ``SentenceTransformer``; for a ``MultiVectorEncoder`` it is 0, because the model's own scoring mask
            says which of its tokens count.
        role: ``"query"`` or ``"document"``: which prompt, as ``encode_query`` and ``encode_document`` choose it.

    Returns:
        0 without a prompt.
    """
    if is_late_interaction(model):
        return 0
    return text_start(model.tokenizer, query_prompt(model) if role == "query" else document_prompt(model))


def content_rows(output: Mapping[str, Any], boundary_ids: Tensor, prompt: int = 0) -> Tensor:
    """Return the token vectors of one text's content.

    Args:
        output: What a model of sentence-transformers returns for one text under ``output_value=None``:
            ``token_embeddings`` (n, d), ``attention_mask`` (n,) and ``input_ids`` (n,).
        boundary_ids: From :func:`~hf_optical.encoders.token_view.boundary_token_ids`.
        prompt: From `prompt_tokens`.

    Returns:
        (tokens, d). A text with nothing but special tokens keeps them, so that every text has a vector.
    """
    vectors, mask, ids = output["token_embeddings"], output["attention_mask"].bool(), output["input_ids"]
    if len(vectors) != len(mask):  # flattened batches have no padding
        ids, mask = ids[mask], mask[mask]
    return vectors[content_places(ids, mask, boundary_ids, prompt)]


def content_places(ids: Tensor, mask: Tensor, boundary_ids: Tensor, prompt: int = 0) -> Tensor:
    """Mark the content tokens of a text, (n,), bool; all real tokens if there is no content.

    Args:
        ids: Token ids, (n,).
        mask: Real tokens, (n,), bool.
        boundary_ids: From :func:`~hf_optical.encoders.token_view.boundary_token_ids`.
        prompt: From `prompt_tokens`.

    Example:
        >>> real = torch.tensor([True, True, True, False])
        >>> content_places(torch.tensor([2, 7, 3, 0]), real, torch.tensor([0, 2, 3])).tolist()
        [False, True, False, False]
    """
    position = mask.cumsum(0) - 1  # among the real tokens, whichever side is padded; 0 is the first special token
    content = mask & ~torch.isin(ids, boundary_ids.to(ids.device)) & (position >= prompt)
    return content if bool(content.any()) else mask
