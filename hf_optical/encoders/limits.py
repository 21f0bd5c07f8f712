"""Limits of a model: tokens per text, vocabulary, layers; read from its configuration, without its weights."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import hf_hub_download
from torch import nn

from hf_optical.encoders.model_folder import LOAD_ERRORS
from hf_optical.errors import InputError
from hf_optical.places import user_path

__all__ = ["Limits", "check_length", "limits_of", "named_limits"]

logger = logging.getLogger(__name__)

_SPEAKING = {"position_embeddings", "wpe", "embed_positions"}


@dataclass(frozen=True)
class Limits:
    """Limits of a model; ``None`` where it states no limit.

    Attributes:
        positions: Tokens of a text, special tokens included: rows of the table of positions that can be used. Models
            with relative or rotary positions have no such table and therefore no limit.
        vocabulary: Rows of the table of tokens.
        tokens: Tokens that the tokenizer knows: one more than the largest id.
        layers: Layers of the transformer.
        trained: Length of the longest texts that a model with rotary positions was trained for, in tokens.
    """

    positions: int | None = None
    vocabulary: int | None = None
    tokens: int | None = None
    layers: int | None = None
    trained: int | None = None

    def check_vocabulary(self, name: str) -> None:
        """Raise an error if the tokenizer has tokens without a vector, at which the first such text would fail later.

        Raises:
            InputError: The limit is exceeded; the message names both numbers.
        """
        if self.tokens is not None and self.vocabulary is not None and self.tokens > self.vocabulary:
            raise InputError(
                f"the tokenizer knows {self.tokens} tokens, but the model has vectors for {self.vocabulary}",
                "use tokenizer and weights of the same model",
                path=name,
            )


def limits_of(model: nn.Module) -> Limits:
    """Determine the limits of a model in memory from its tables; of several transformers the smallest.

    Example:
        >>> body = nn.ModuleDict({"position_embeddings": nn.Embedding(514, 8, padding_idx=1)})
        >>> limits_of(body).positions  # the first two rows stand for padding
        512
    """
    from transformers import PreTrainedModel

    positions = [
        # RoBERTa and its relatives count positions from the padding index on.
        table.num_embeddings - (0 if table.padding_idx is None else table.padding_idx + 1)
        for name, table in model.named_modules()
        if name.rpartition(".")[2] in _SPEAKING and isinstance(table, nn.Embedding)
    ]
    bodies = [module for module in model.modules() if isinstance(module, PreTrainedModel)]
    rotary = [
        int(module.config.max_position_embeddings)
        for module in bodies
        if getattr(module.config, "max_position_embeddings", None)
        and any("rotary" in name for name, _ in module.named_modules())
    ]
    inputs = (module.get_input_embeddings() for module in bodies)
    rows = [table.num_embeddings for table in inputs if isinstance(table, nn.Embedding)]
    layers = [module.config.num_hidden_layers for module in bodies if hasattr(module.config, "num_hidden_layers")]
    return Limits(
        positions=min(positions, default=None),
        vocabulary=min(rows, default=None),
        tokens=_known(getattr(model, "tokenizer", None)),
        layers=max(layers, default=None),
        trained=None if positions else min(rotary, default=None),
    )


def named_limits(name_or_path: str) -> Limits:
    """Determine the limits of a model on disk or on the Hub from its configuration and tokenizer, without weights.

    Args:
        name_or_path: Hub id or folder of a sentence-transformers or transformers model.

    Returns:
        Its limits; empty ones if its files cannot be read, which the loader reports better.
    """
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    folder = user_path(name_or_path)
    try:
        place = str(folder / _first_module(folder)) if folder.is_dir() else name_or_path
        options: dict[str, Any] = {"trust_remote_code": False}
        if not folder.is_dir() and (inner := _first_module(name_or_path)):
            options["subfolder"] = inner
        config = AutoConfig.from_pretrained(place, **options)
        with torch.device("meta"):
            body = AutoModel.from_config(config, trust_remote_code=False)
        found = limits_of(body)
        tokens = _known(AutoTokenizer.from_pretrained(place, **options))
        return replace(found, tokens=tokens)
    except (*LOAD_ERRORS, NotImplementedError):
        return Limits()


def check_length(limits: Limits, length: int | Mapping[str, int | None] | None, name: str) -> None:
    """Raise an error if texts may have more tokens than the model has positions, at which training would fail later.

    Rotary positions have no end, but vectors of texts longer than those of the training are worse; this is logged.

    Args:
        limits: Limits of the model.
        length: Number of tokens at which texts are truncated, possibly by task; ``None`` for the model's own limit.
        name: Name of the model for the message.

    Raises:
        InputError: The limit is exceeded; the message names both numbers.

    Example:
        >>> check_length(Limits(positions=512), 600, "the teacher")
        Traceback (most recent call last):
        ...
        hf_optical.errors.InputError: field 'max_length': is 600, but the teacher has positions for 512 tokens. ...
    """
    lengths = [value for value in (length.values() if isinstance(length, Mapping) else [length]) if value is not None]
    if limits.positions is not None and lengths and max(lengths) > limits.positions:
        raise InputError(
            f"is {max(lengths)}, but {name} has positions for {limits.positions} tokens",
            f"give {limits.positions} or fewer; longer texts are truncated",
            field="max_length",
        )
    if limits.trained is not None and lengths and max(lengths) > limits.trained:
        logger.warning(
            "max_length is %d, but %s was trained for texts of %d tokens: vectors of longer texts are worse",
            max(lengths), name, limits.trained,
        )  # fmt: skip


def _first_module(source: str | Path) -> str:
    """Return the folder of a sentence-transformers model's first module, relative to it; empty for a plain model."""
    if isinstance(source, Path):
        file = source / "modules.json"
        if not file.is_file():
            return ""
    else:
        try:
            file = Path(hf_hub_download(source, "modules.json"))
        except LOAD_ERRORS:
            return ""
    modules = json.loads(file.read_text(encoding="utf-8"))
    return str(modules[0]["path"]) if modules else ""


def _known(tokenizer: Any) -> int | None:
    """Return the largest id of a tokenizer plus one, since ids may have gaps and added tokens follow the vocabulary."""
    try:
        return max(tokenizer.get_vocab().values()) + 1
    except (AttributeError, TypeError, ValueError, NotImplementedError):
        return None
