"""Copies of a teacher's parts: removing layers, rebuilding a tokenizer from JSON, reassembling modules."""

from __future__ import annotations

import json
from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from sentence_transformers import MultiVectorEncoder, SentenceTransformer
from sentence_transformers.base.modules import Transformer
from torch import nn
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from hf_optical.errors import InputError

Encoder = TypeVar("Encoder", SentenceTransformer, MultiVectorEncoder)


def transformer_of(model: SentenceTransformer | MultiVectorEncoder) -> Transformer:
    """Return the model's first module.

    Args:
        model: A sentence-transformers model.

    Returns:
        Its `Transformer`, which has a fast text tokenizer.

    Raises:
        InputError: If the first module is another one (static embeddings, a router), or has no fast tokenizer.

    Example:
        >>> try:
        ...     transformer_of(SentenceTransformer(modules=[nn.Identity()], device="cpu"))
        ... except InputError as error:
        ...     print(error.problem)
        the model's first module is Identity, not Transformer
    """
    first = next(iter(model._modules.values()))
    if not isinstance(first, Transformer):
        raise InputError(
            f"the model's first module is {type(first).__name__}, not Transformer",
            "give a model whose first module is Sentence Transformers' Transformer",
        )
    if not getattr(first.tokenizer, "is_fast", False):
        raise InputError(
            f"the model's tokenizer, {type(first.tokenizer).__name__}, has no `tokenizers` backend",
            "give a model with a fast (tokenizer.json) text tokenizer",
        )
    return first


def tokenizer_of(module: Transformer) -> PreTrainedTokenizerBase:
    """Return the tokenizer of a `Transformer` that reads text.

    Args:
        module: What `transformer_of` returned.

    Returns:
        Its tokenizer.
    """
    assert module.tokenizer is not None
    return module.tokenizer


def embeddings_of(model: PreTrainedModel) -> nn.Embedding:
    """Return a model's table of input embeddings.

    Args:
        model: A transformers encoder.

    Returns:
        The module; its weight is ``(vocabulary, width)``.
    """
    table = model.get_input_embeddings()
    assert isinstance(table, nn.Embedding)
    return table


def chosen_layers(total: int, wanted: int) -> list[int]:
    """Return the numbers of the kept layers, evenly spaced and including the first and the last.

    The last layer is always kept, because the teacher's later modules read its output.

    Args:
        total: Number of layers.
        wanted: Number of layers to keep, 1 to ``total``.

    Returns:
        Increasing numbers from 0.

    Raises:
        InputError: If ``wanted`` is out of range.

    Example:
        >>> chosen_layers(6, 3), chosen_layers(6, 1), chosen_layers(2, 2)
        ([0, 2, 5], [5], [0, 1])
    """
    if not 1 <= wanted <= total:
        raise InputError(
            f"num_layers is {wanted}, but the teacher has {total} layers", f"give a number from 1 to {total}"
        )
    if wanted == 1:
        return [total - 1]
    return [(i * (total - 1)) // (wanted - 1) for i in range(wanted)]


def keep_layers(model: PreTrainedModel, wanted: int | None) -> None:
    """Cut a model down to ``wanted`` of its layers, in place.

    Args:
        model: A transformers encoder.
        wanted: Number of layers to keep; None for all.

    Raises:
        InputError: If the number is out of range, or the model's layers cannot be found.
    """
    if wanted is None:
        return
    total = getattr(model.config, "num_hidden_layers", None)
    stacks = [
        (parent, name, child)
        for parent in model.modules()
        for name, child in parent.named_children()
        if isinstance(child, nn.ModuleList) and len(child) == total
    ]
    if len(stacks) != 1 or total is None:
        raise InputError(
            f"{type(model).__name__} has {len(stacks)} candidates for its stack of layers",
            "leave num_layers at None for this teacher",
        )
    parent, name, layers = stacks[0]
    chosen = chosen_layers(total, wanted)
    setattr(parent, name, nn.ModuleList([layers[i] for i in chosen]))
    if isinstance(kinds := getattr(model.config, "layer_types", None), list):
        model.config.layer_types = [kinds[i] for i in chosen]
    model.config.num_hidden_layers = wanted


def rebuilt_tokenizer(
    tokenizer: PreTrainedTokenizerBase, spec: dict[str, Any], **settings: Any
) -> PreTrainedTokenizerBase:
    """Return a tokenizer like ``tokenizer`` with another backend.

    It is written to a temporary folder and read back by transformers, so that it equals the tokenizer of a saved model.

    Args:
        tokenizer: The tokenizer to imitate (class, special tokens, lengths).
        spec: The new backend's JSON.
        **settings: Entries of ``tokenizer_config.json`` to change.

    Returns:
        The new tokenizer.
    """
    with TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        config_file = Path(folder, "tokenizer_config.json")
        config = {**json.loads(config_file.read_text(encoding="utf-8")), **settings}
        config["model_max_length"] = tokenizer.model_max_length
        for file in Path(folder).iterdir():
            file.unlink()  # an old vocab.txt or sentencepiece model would conflict with the new backend
        config_file.write_text(json.dumps(config, ensure_ascii=False), encoding="utf-8")
        Path(folder, "tokenizer.json").write_text(json.dumps(spec, ensure_ascii=False), encoding="utf-8")
        new = AutoTokenizer.from_pretrained(folder)
    new.name_or_path = new.init_kwargs["name_or_path"] = tokenizer.name_or_path
    return new


def rebuilt_transformer(
    old: Transformer, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, **settings: Any
) -> Transformer:
    """Return a `Transformer` with the settings of ``old`` around another model and tokenizer.

    Args:
        old: The module to imitate.
        model: The new model.
        tokenizer: The new tokenizer.
        **settings: Entries of the module's configuration to change.

    Returns:
        A new module, as Sentence Transformers itself loads it from a folder.
    """
    name, length = old.model.config._name_or_path, old.max_seq_length
    with TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        config = {**old.get_config_dict(), **settings}
        Path(folder, Transformer.config_file_name).write_text(json.dumps(config), encoding="utf-8")
        kwargs = {"attn_implementation": model.config._attn_implementation, "dtype": model.dtype}
        new = Transformer.load(folder, model_kwargs=kwargs)
    new.model.config._name_or_path = name
    new.tokenizer.name_or_path = new.tokenizer.init_kwargs["name_or_path"] = tokenizer.name_or_path
    new.max_seq_length = length
    return new


def settings_of(model: Encoder) -> dict[str, Any]:
    """Return the settings of a model besides its modules: prompts, similarity, truncation."""
    settings: dict[str, Any] = {
        "prompts": dict(model.prompts),
        "default_prompt_name": model.default_prompt_name,
        "similarity_fn_name": model.similarity_fn_name,
    }
    if getattr(model, "truncate_dim", None) is not None:
        settings["truncate_dim"] = model.truncate_dim
    return settings


def assembled(teacher: Encoder, first: Iterable[nn.Module]) -> Encoder:
    """Return a model of the teacher's class: ``first``, then copies of the teacher's modules after its Transformer.

    Args:
        teacher: Source of the class, later modules, prompts, similarity function and device; it is not changed.
        first: The module or modules that replace the teacher's Transformer.

    Returns:
        A new model in float32 with all parameters trainable, in evaluation mode.
    """
    later: list[nn.Module] = [deepcopy(module) for module in list(teacher._modules.values())[1:]]
    student = type(teacher)(modules=[*first, *later], device=str(teacher.device), **settings_of(teacher))
    # Copies of a frozen teacher, or of one in half precision, inherit this, but the student has to be trainable.
    student.requires_grad_(True).float()
    return student.eval()
