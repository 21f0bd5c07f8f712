"""Token view of a batch: token vectors of an encoder, with masks of real, content and special tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from sentence_transformers.sentence_transformer.modules import Pooling
from sentence_transformers.util.tensor import repad_flattened_features
from torch import Tensor, nn

from hf_optical.encoders.feature_keys import CACHED_ROWS, MIRROR, TEACHER_TOKENIZED, TEXT_START
from hf_optical.encoders.teachers import Teacher

NOT_OF_MODELS = {TEACHER_TOKENIZED, MIRROR, CACHED_ROWS, TEXT_START, "task"}
"""Keys of features that no encoder reads."""

SpecialTokens = Literal["match", "exclude", "transport"]
"""How the transport treats special tokens; see :func:`content_mask`."""


@dataclass(frozen=True)
class TokenView:
    """One side of a batch as used by the losses.

    Attributes:
        tokens: Token vectors, (B, n, d).
        mask: Real tokens, (B, n), bool; padding is False.
        text: Real tokens that are not part of a prompt, (B, n), bool. An instruction before every query carries no
            information about this query; it is encoded and pooled as usual, but not transported.
        special: Tokens that the tokenizer adds around the text (``<s>``, ``[SEP]``...), (B, n), bool.
        sentence: Sentence vectors, (B, d'). For a multi-vector encoder the mean of its token vectors.
        input_ids: Token ids, (B, n).
        target: What the ranking term takes in place of the teacher's sentence vectors, (B, d'); ``None`` for these.
    """

    tokens: Tensor
    mask: Tensor
    text: Tensor
    special: Tensor
    sentence: Tensor
    input_ids: Tensor
    target: Tensor | None = None


def boundary_token_ids(model: Teacher) -> Tensor:
    """Return the ids of the tokens around a text: begin, end, class, separator, padding.

    ``[UNK]`` and ``[MASK]`` are *not* among them: an unknown word is a word, and late-interaction models
    expand queries with mask tokens that are scored.
    """
    tokenizer = model.tokenizer
    names = ("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id", "pad_token_id")
    ids = {getattr(tokenizer, name, None) for name in names} - {None}
    return torch.tensor(sorted(ids), dtype=torch.long)


def encode_tokens(
    model: nn.Module, features: Mapping[str, Any], boundary_ids: Tensor, *, late_interaction: bool
) -> TokenView:
    """Run an encoder on a *copy* of the features and return its token view.

    Args:
        model: A ``SentenceTransformer`` or ``MultiVectorEncoder``, possibly wrapped (DDP, compile).
        features: Result of ``model.preprocess``. The dict is not changed (a forward pass would add keys to it).
        boundary_ids: From :func:`boundary_token_ids`.
        late_interaction: Whether the model is a ``MultiVectorEncoder``; its texts are encoded as queries.

    Returns:
        The :class:`TokenView`; FlashAttention's flattened batches are padded again first.
    """
    start = 0 if late_interaction else text_start_of(features)
    features = {key: value for key, value in features.items() if key not in NOT_OF_MODELS}
    input_ids, mask = features.get("input_ids"), features.get("attention_mask")
    output = model(features, task="query") if late_interaction else model(features)
    if "cu_seq_lens_q" in output:
        output = repad_flattened_features(output)
        input_ids, mask = output["input_ids"], output["attention_mask"]
    if late_interaction:  # the scoring mask, which may leave out punctuation or add expansion tokens
        mask = output["attention_mask"]
    assert input_ids is not None
    assert mask is not None
    mask = mask.bool()
    tokens = output["token_embeddings"]
    special = torch.isin(input_ids, boundary_ids.to(input_ids.device)) & mask
    sentence = output.get("sentence_embedding")
    if sentence is None:
        weight = mask.unsqueeze(-1).to(tokens.dtype)
        sentence = (tokens * weight).sum(1) / weight.sum(1).clamp_min(1)
    position = mask.cumsum(dim=1) - 1  # among the real tokens, whichever side is padded; 0 is the first special token
    text = mask & ~((position > 0) & (position < start))
    return TokenView(tokens, mask, text, special, sentence, input_ids)


def text_start_of(features: Mapping[str, Any]) -> int:
    """Return how many tokens stand before the texts of these features; by default sentence-transformers' own count."""
    start = features.get(TEXT_START)
    return int(features.get("prompt_length") or 0) if start is None else int(start)


def pools_one_token(model: nn.Module) -> bool:
    """Return whether a dense model's sentence vector is the vector of its first or last token."""
    return any(
        isinstance(module, Pooling) and module.pooling_mode in ("cls", "lasttoken") for module in model.children()
    )


def content_mask(mask: Tensor, special: Tensor, special_tokens: SpecialTokens) -> Tensor:
    """Return the tokens that take part in the transport, (B, n), bool.

    A row with nothing but special tokens keeps them, so that every row has mass.

    Example:
        >>> mask = torch.tensor([[True, True, True, False]])
        >>> special = torch.tensor([[True, False, True, False]])
        >>> content_mask(mask, special, "match").tolist()
        [[False, True, False, False]]
    """
    if special_tokens == "transport":
        return mask
    content = mask & ~special
    return torch.where(content.any(dim=1, keepdim=True), content, mask)
