"""Word vectors of an encoder: the mean of a word's token vectors at any layer, special tokens left out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from accelerate.utils import extract_model_from_parallel
from sentence_transformers.base.model import BaseModel
from sentence_transformers.util.tensor import repad_flattened_features
from torch import Tensor, nn

from hf_optical.encoders.token_view import NOT_OF_MODELS, boundary_token_ids, content_mask, text_start_of
from hf_optical.errors import InputError

WordPooling = Literal["exclude", "include", "first"]
_HIDDEN = "all_layer_embeddings"


@dataclass(frozen=True)
class WordVectors:
    """Vectors of words by one encoder.

    Attributes:
        layers: Mean vectors at the requested layers, (B, d) each, float32.
        output: What the encoder puts out: sentence vectors, (B, d'); for a multi-vector encoder the mean of its output
            token vectors without special tokens. float32.
        keys: One number per word, equal where the encoder reads the same tokens, (B,), int64, on the CPU.
    """

    layers: tuple[Tensor, ...]
    output: Tensor
    keys: Tensor


def read_words(
    model: nn.Module,
    features: Mapping[str, Any],
    outside: Tensor,
    layers: Sequence[int],
    *,
    late_interaction: bool,
    special_tokens: WordPooling = "exclude",
) -> WordVectors:
    """Run an encoder on a copy of the features, and take the words' vectors at some layers and at the output.

    Args:
        model: A ``SentenceTransformer`` or ``MultiVectorEncoder``, possibly wrapped (DDP, compile).
        features: What ``model.preprocess`` returned for words or terms; left as it was.
        outside: From :func:`tokens_outside_words`.
        layers: Which hidden states: 0 is the embedding layer, k the k-th transformer layer.
        late_interaction: Whether the model is a ``MultiVectorEncoder``; its texts are read as queries.
        special_tokens: ``"exclude"``: the mean of the word's own tokens; ``"include"``: of all tokens;
            ``"first"``: the first token alone (``[CLS]``). The last two are there to show what they do.

    Returns:
        The :class:`WordVectors`. A word without any token of its own keeps its special tokens.
    """
    start = text_start_of(features)
    features = {key: value for key, value in features.items() if key not in NOT_OF_MODELS}
    input_ids, mask = features.get("input_ids"), features.get("attention_mask")
    with _all_hidden_states(model):
        output = model(features, task="query") if late_interaction else model(features)
    hidden = [output[_HIDDEN][layer] for layer in layers]
    tokens = output["token_embeddings"]
    if "cu_seq_lens_q" in output:  # FlashAttention's flattened batch
        hidden = [repad_flattened_features({**output, "token_embeddings": one})["token_embeddings"] for one in hidden]
        output = repad_flattened_features(output)
        tokens, input_ids, mask = output["token_embeddings"], output["input_ids"], output["attention_mask"]
    assert input_ids is not None
    assert mask is not None
    # float32 whatever the autocast: means and cosines of bf16 vectors lose the small differences that count here.
    with torch.autocast(tokens.device.type, enabled=False):
        word = _word_mask(input_ids, mask.bool(), outside, start)
        pooled = {"exclude": word, "include": mask.bool(), "first": _first_token(mask.bool())}[special_tokens]
        sentence = output.get("sentence_embedding")
        return WordVectors(
            layers=tuple(_mean(one, pooled) for one in hidden),
            output=sentence.float() if sentence is not None else _mean(tokens, word),
            keys=_word_keys(input_ids, word),
        )


def tokens_outside_words(model: BaseModel) -> Tensor:
    """Ids of tokens that are no part of a word: begin, end, class, separator, padding, mask (query expansion)."""
    mask_token = getattr(model.tokenizer, "mask_token_id", None)
    ids = {*boundary_token_ids(model).tolist(), mask_token} - {None}
    return torch.tensor(sorted(ids), dtype=torch.long)


def _word_keys(input_ids: Tensor, word: Tensor) -> Tensor:
    """A number for each row's tokens under the mask, (B,), int64; equal rows get equal numbers in every process.

    Example:
        >>> ids, mask = torch.tensor([[2, 7, 3, 0], [2, 7, 9, 3]]), torch.tensor([[0, 1, 0, 0], [0, 1, 0, 0]]).bool()
        >>> keys = _word_keys(ids, mask)
        >>> bool(keys[0] == keys[1])
        True
    """
    rows = zip(input_ids.tolist(), word.tolist(), strict=True)
    # The hash of a tuple of integers is not salted, unlike that of a string.
    return torch.tensor(
        [hash(tuple(number for number, kept in zip(*row, strict=True) if kept)) for row in rows], dtype=torch.long
    )


def number_of_layers(model: nn.Module) -> int:
    """Count the transformer layers of an encoder; there is one hidden state more.

    Raises:
        InputError: The model does not begin with a transformer.
    """
    return int(_config(model).get_text_config().num_hidden_layers)


def comparable_layers(model: BaseModel, other: BaseModel) -> bool:
    """Whether the hidden states of two encoders can be compared layer by layer: as many, and as wide."""
    configs = [_config(one).get_text_config() for one in (model, other)]
    shapes = [(config.num_hidden_layers, config.hidden_size) for config in configs]
    return shapes[0] == shapes[1]


def check_layer(model: nn.Module, layer: int, field: str = "layer") -> None:
    """Stop unless the model has this layer.

    Raises:
        InputError: Below 0, or beyond the last.
    """
    last = number_of_layers(model)
    if not 0 <= layer <= last:
        raise InputError(f"is {layer}", f"give a layer from 0 (embeddings) to {last}, the model's last", field=field)


def keys_of_words(model: BaseModel, words: list[str], outside: Tensor) -> list[int]:
    """The keys that :func:`read_words` would give to these words, without running the model."""
    features = model.preprocess(words)
    input_ids, mask = features["input_ids"], features["attention_mask"].bool()
    return _word_keys(input_ids, _word_mask(input_ids, mask, outside, 0)).tolist()


def _word_mask(input_ids: Tensor, mask: Tensor, outside: Tensor, start: int) -> Tensor:
    position = mask.cumsum(dim=1) - 1  # among the real tokens, whichever side is padded
    special = torch.isin(input_ids, outside.to(input_ids.device)) | (position < start)
    return content_mask(mask, special & mask, "exclude")


def _first_token(mask: Tensor) -> Tensor:
    return mask & (mask.cumsum(dim=1) == 1)


def _mean(tokens: Tensor, mask: Tensor) -> Tensor:
    weight = mask.unsqueeze(-1).float()
    return (tokens.float() * weight).sum(1) / weight.sum(1).clamp_min(1)


@contextmanager
def _all_hidden_states(model: nn.Module) -> Iterator[None]:
    """Sentence-transformers hands on the hidden states when the configuration asks for them, and only then."""
    config = _config(model)
    before = config.output_hidden_states
    config.output_hidden_states = True
    try:
        yield
    finally:  # what is saved must not ask for them
        config.output_hidden_states = before


def _config(model: nn.Module) -> Any:
    first = next(iter(extract_model_from_parallel(model).children()), None)
    config = getattr(getattr(first, "model", None), "config", None)
    if config is None:
        raise InputError(
            f"the model's first module is {type(first).__name__}, which has no layers to look into",
            "give a model that begins with a transformer",
        )
    return config
