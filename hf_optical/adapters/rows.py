"""Per-row adapters: each row of a batch goes through its own adapter, in inference and in training.

peft can mix adapters row by row (argument ``adapter_names``), but not through sentence-transformers, and ``PeftModel``
refuses it in training mode, although its layers support both modes. Therefore the features of a batch carry one number
per row beside ``input_ids``, and hooks pass the names of the adapters to every adapter layer. For a batch without these
numbers no adapter is active, and the model computes what its base computes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import torch
from peft.tuners.lora.layer import LoraLayer
from peft.utils.other import AuxiliaryTrainingWrapper, ModulesToSaveWrapper, TrainableTokensWrapper
from torch import Tensor, nn

from hf_optical.data.languages import known_codes
from hf_optical.errors import InputError

ROW_KEY = "adapter_language"
"""Key of the features for a long tensor of shape (B,): each row's index in ``known_codes()``, or -1 for the base."""
BASE = "__base__"
"""Name by which peft selects the base without an adapter."""


def row_numbers(names: Sequence[str | None]) -> Tensor:
    """Encode the names of adapters as a tensor of shape (B,) for the features.

    The features hold a tensor and not names, because trainers move, slice and gather tensors (mini-batches of cached
    losses, several devices).

    Args:
        names: The adapter of each row, a FLORES code, or ``None`` for the base.

    Example:
        >>> _row_names(row_numbers(["swh_Latn", None]))
        ['swh_Latn', '__base__']
    """
    places = _places()
    return torch.tensor([-1 if name is None else places[name] for name in names], dtype=torch.long)


def _row_names(numbers: Tensor) -> list[str]:
    """Invert :func:`row_numbers`, with :data:`BASE` for the base."""
    codes = known_codes()
    return [BASE if number < 0 else codes[number] for number in numbers.tolist()]


class RowAdapters:
    """Hooks that select the adapter of each row in the forward passes of one model.

    The adapters of the current pass are stored here, so only one thread at a time may use the model.

    Args:
        module: The sentence-transformers ``Transformer`` module, whose forward takes the dictionary of features.
        model: The transformers model in it, which holds the adapter layers.
        known: Function that returns the names of the present adapters.
    """

    def __init__(self, module: nn.Module, model: nn.Module, known: Callable[[], Sequence[str]]) -> None:
        self.model, self.known = model, known
        self.resting = BASE  # the adapter of batches that name none
        self.names: list[str] | None = None
        self._hooked: list[tuple[nn.Module, Any]] = []
        module.register_forward_pre_hook(self._enter)
        module.register_forward_hook(self._leave, always_call=True)

    def refresh(self) -> None:
        """Register hooks on the layers of a new adapter, and deactivate every adapter outside of the hooks."""
        hooked = {id(layer) for layer, _ in self._hooked}
        for layer in self.model.modules():
            if isinstance(layer, (LoraLayer, AuxiliaryTrainingWrapper)):
                layer.set_adapter([])
                if id(layer) not in hooked:
                    handle = layer.register_forward_pre_hook(self._choose, with_kwargs=True)
                    self._hooked.append((layer, handle))

    @contextmanager
    def using(self, names: list[str] | None) -> Iterator[None]:
        """Set the adapters of the rows for the forward passes inside the block; ``None`` for the base."""
        before, self.names = self.names, names
        try:
            yield
        finally:
            self.names = before

    def _enter(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        """Read the adapters of a batch from its features before the forward pass."""
        features = args[0]
        rows = features["input_ids"].shape[0]
        flattened = "cu_seq_lens_q" in features  # for FlashAttention all texts are concatenated into one row
        names = _row_names(features[ROW_KEY]) if ROW_KEY in features else [self.resting] * rows
        unknown = sorted(set(names) - {BASE} - set(self.known()))
        if unknown:
            raise InputError(
                f"rows of the batch are for {', '.join(unknown)}, which has no adapter in this model",
                f"add or load it; there are: {', '.join(self.known()) or 'none'}",
            )
        if flattened and len(set(names)) > 1:
            raise InputError(
                "FlashAttention concatenates the texts of a batch into one row, so that they cannot have different "
                "adapters",
                "load the base with attn_implementation='sdpa', or give batches of one language",
            )
        if flattened:
            names = names[:1] * rows
        if len(names) != rows:
            raise InputError(
                f"the batch has {rows} rows but names adapters for {len(names)}", "name one language for each text"
            )
        self.names = None if set(names) <= {BASE} else names
        if torch.is_grad_enabled() and getattr(self.model, "is_gradient_checkpointing", False):
            self._remember_in_checkpoints()

    def _leave(self, *args: Any) -> None:
        self.names = None

    def _choose(self, layer: nn.Module, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Pass the adapter of each row to an adapter layer, as the argument ``adapter_names``."""
        if self.names is None:
            return None
        here = _adapters_of(layer)
        names = [name if name in here else BASE for name in self.names]
        if set(names) == {BASE}:
            return None
        first = args[0]
        if first.shape[0] == 1 and len(names) > 1:  # position ids have one row that is broadcast over the batch
            args = (first.expand(len(names), *first.shape[1:]), *args[1:])
        return args, {**options, "adapter_names": names}

    def _remember_in_checkpoints(self) -> None:
        # Gradient checkpointing recomputes layers in the backward pass, after `_leave` has cleared the names.
        for module in self.model.modules():
            function = getattr(module, "_gradient_checkpointing_func", None)
            if function is not None and not isinstance(function, _Remembering):
                module._gradient_checkpointing_func = _Remembering(function, self)  # type: ignore[assignment]


class _Remembering:
    """Checkpointing function that recomputes a layer with the adapters of its first computation."""

    def __init__(self, function: Callable[..., Any], rows: RowAdapters) -> None:
        self.function, self.rows = function, rows

    def __call__(self, run: Callable[..., Any], *args: Any, **options: Any) -> Any:
        names = self.rows.names

        def same(*inputs: Any, **more: Any) -> Any:
            with self.rows.using(names):
                return run(*inputs, **more)

        return self.function(same, *args, **options)


def _adapters_of(layer: nn.Module) -> set[str]:
    """Return the names of the adapters in one adapter layer."""
    if isinstance(layer, LoraLayer):
        return {*layer.lora_A, *layer.lora_embedding_A}
    if isinstance(layer, ModulesToSaveWrapper):
        return set(layer.modules_to_save)
    if isinstance(layer, TrainableTokensWrapper):
        return set(layer.token_adapter.trainable_tokens_delta)
    return set()


@lru_cache(maxsize=1)
def _places() -> dict[str, int]:
    """Return the index of every FLORES code in ``known_codes()``."""
    return {code: place for place, code in enumerate(known_codes())}
