"""Per-row adapters: each row of a batch goes through its own adapter, in use and in training.

peft can mix adapters by row (``adapter_names``), but not through sentence-transformers, and it refuses in training mode
at the door of ``PeftModel``. The layers below do it in both modes. So the features of a batch carry, beside
``input_ids``, one number per row, and hooks hand the names to every adapter layer. Outside such a batch no adapter is
active: a model with language adapters is its base until somebody says otherwise.
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
"""Key of the features: (B,) long, the place of each row's language in ``known_codes()``, -1 for the base."""
BASE = "__base__"
"""peft's name for no adapter."""


def row_numbers(names: Sequence[str | None]) -> Tensor:
    """Return numbers of adapters, one per row, as the features carry them.

    A tensor and not names, because trainers move, slice and gather tensors (mini-batches of cached losses, several
    devices).

    Example:
        >>> _row_names(row_numbers(["swh_Latn", None]))
        ['swh_Latn', '__base__']
    """
    places = _places()
    return torch.tensor([-1 if name is None else places[name] for name in names], dtype=torch.long)


def _row_names(numbers: Tensor) -> list[str]:
    """The names again, with :data:`BASE` for the base."""
    codes = known_codes()
    return [BASE if number < 0 else codes[number] for number in numbers.tolist()]


class RowAdapters:
    """Hooks of one model. One forward pass at a time; not to be shared by threads.

    Args:
        module: The sentence-transformers ``Transformer`` module; its forward takes the dict of features.
        model: The transformers model in it, which holds the adapter layers.
        known: Names of the adapters that exist at the moment.
    """

    def __init__(self, module: nn.Module, model: nn.Module, known: Callable[[], Sequence[str]]) -> None:
        self.model, self.known = model, known
        self.resting = BASE  # for features that name no adapter
        self.names: list[str] | None = None
        self._hooked: list[tuple[nn.Module, Any]] = []
        module.register_forward_pre_hook(self._enter)
        module.register_forward_hook(self._leave, always_call=True)

    def refresh(self) -> None:
        """Hook the layers of a new adapter, and leave no adapter active by itself."""
        hooked = {id(layer) for layer, _ in self._hooked}
        for layer in self.model.modules():
            if isinstance(layer, (LoraLayer, AuxiliaryTrainingWrapper)):
                layer.set_adapter([])
                if id(layer) not in hooked:
                    handle = layer.register_forward_pre_hook(self._choose, with_kwargs=True)
                    self._hooked.append((layer, handle))

    @contextmanager
    def using(self, names: list[str] | None) -> Iterator[None]:
        """Set the adapters of the rows for the forward passes inside the block."""
        before, self.names = self.names, names
        try:
            yield
        finally:
            self.names = before

    def _enter(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        features = args[0]
        rows = features["input_ids"].shape[0]
        flattened = "cu_seq_lens_q" in features  # FlashAttention: all texts in one row
        names = _row_names(features[ROW_KEY]) if ROW_KEY in features else [self.resting] * rows
        unknown = sorted(set(names) - {BASE} - set(self.known()))
        if unknown:
            raise InputError(
                f"rows of the batch are for {', '.join(unknown)}, which has no adapter here",
                f"add or load it; there are: {', '.join(self.known()) or 'none'}",
            )
        if flattened and len(set(names)) > 1:
            raise InputError(
                "FlashAttention flattens the batch into one row, so that rows cannot have adapters of their own",
                "load the base with attn_implementation='sdpa', or give batches of one language",
            )
        if flattened:
            names = names[:1] * rows
        if len(names) != rows:
            raise InputError(
                f"the batch has {rows} rows and adapters for {len(names)}", "name one language for each text"
            )
        self.names = None if set(names) <= {BASE} else names
        if torch.is_grad_enabled() and getattr(self.model, "is_gradient_checkpointing", False):
            self._remember_in_checkpoints()

    def _leave(self, *args: Any) -> None:
        self.names = None

    def _choose(self, layer: nn.Module, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        if self.names is None:
            return None
        here = _adapters_of(layer)
        names = [name if name in here else BASE for name in self.names]
        if set(names) == {BASE}:
            return None
        first = args[0]
        if first.shape[0] == 1 and len(names) > 1:  # position ids come once for all rows
            args = (first.expand(len(names), *first.shape[1:]), *args[1:])
        return args, {**options, "adapter_names": names}

    def _remember_in_checkpoints(self) -> None:
        # Gradient checkpointing runs layers again in backward, when the names of this forward are gone.
        for module in self.model.modules():
            function = getattr(module, "_gradient_checkpointing_func", None)
            if function is not None and not isinstance(function, _Remembering):
                module._gradient_checkpointing_func = _Remembering(function, self)  # type: ignore[assignment]


class _Remembering:
    """A checkpointing function that runs a layer again under the adapters of its first run."""

    def __init__(self, function: Callable[..., Any], rows: RowAdapters) -> None:
        self.function, self.rows = function, rows

    def __call__(self, run: Callable[..., Any], *args: Any, **options: Any) -> Any:
        names = self.rows.names

        def same(*inputs: Any, **more: Any) -> Any:
            with self.rows.using(names):
                return run(*inputs, **more)

        return self.function(same, *args, **options)


def _adapters_of(layer: nn.Module) -> set[str]:
    """Names of the adapters that one adapter layer holds."""
    if isinstance(layer, LoraLayer):
        return {*layer.lora_A, *layer.lora_embedding_A}
    if isinstance(layer, ModulesToSaveWrapper):
        return set(layer.modules_to_save)
    if isinstance(layer, TrainableTokensWrapper):
        return set(layer.token_adapter.trainable_tokens_delta)
    return set()


@lru_cache(maxsize=1)
def _places() -> dict[str, int]:
    return {code: place for place, code in enumerate(known_codes())}
