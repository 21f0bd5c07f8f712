r"""PiSSA and OLoRA initialisation that does not change the base's weights.

Both initialise a LoRA with principal components of the base: :math:`W \to (W - s B_0 A_0) + s B A` with
:math:`A = A_0`, :math:`B = B_0` before training (PiSSA: Meng et al., 2024, arXiv:2404.02948; OLoRA: Buyukakyuz, 2024,
arXiv:2406.01775). peft subtracts :math:`s B_0 A_0` from the base, which the adapters of other languages share. Here the
base is unchanged, and the adapter adds :math:`s (B A - B_0 A_0) x`, which is the same function. It equals a plain LoRA
of rank :math:`2 r` with the factors :math:`[B, -B_0] [A; A_0]`, the form into which peft converts these adapters, and
in that form it is saved.
"""

from __future__ import annotations

import math
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import torch
from peft.tuners.lora.layer import Linear, LoraLayer, LoraVariant
from torch import Tensor, nn
from torch.nn import functional

from hf_optical.errors import InputError

if TYPE_CHECKING:
    from peft import LoraConfig


class _FromStart(LoraVariant):
    """Forward of an adapter that was initialised from the base, in the form in which peft takes variants of LoRA.

    peft calls it both for an adapter that is used alone and in mixed batches.
    """

    @staticmethod
    def forward(module: Any, active_adapter: str, x: Tensor, result: Tensor, **options: Any) -> Tensor:
        """Compute ``result + s [B, -B0] [A; A0] dropout(x)``."""
        down, up = _doubled(module, active_adapter)
        delta = functional.linear(functional.linear(module.lora_dropout[active_adapter](x), down), up)
        return result + delta * module.scaling[active_adapter]

    @staticmethod
    def merge_unsafe(module: Any, active_adapter: str, orig_weight: Tensor) -> None:
        """Refuse to merge; the saved form can be merged."""
        raise NotImplementedError("save the adapter and merge the plain LoRA that it is saved as")

    @staticmethod
    def merge_safe(module: Any, active_adapter: str, orig_weight: Tensor) -> Tensor:
        """Refuse to merge; the saved form can be merged."""
        raise NotImplementedError("save the adapter and merge the plain LoRA that it is saved as")


def start_from_base(model: nn.Module, name: str, start: str) -> None:
    """Initialise an adapter as peft does, and restore the base's weights that peft changes.

    Args:
        model: The transformers model with the newly injected adapter.
        name: Name of the adapter.
        start: peft's ``init_lora_weights``: ``"pissa"``, ``"pissa_niter_4"`` or ``"olora"``.

    Raises:
        InputError: The adapter has layers that are not linear.
    """
    layers: list[Any] = [
        module for module in model.modules() if isinstance(module, LoraLayer) and name in _names(module)
    ]
    if not all(isinstance(layer, Linear) for layer in layers):
        raise InputError(
            f"{start!r} can initialise linear layers only", "name other target_modules, or another init_lora_weights"
        )
    for layer in layers:
        base = layer.get_base_layer().weight
        values = base.data
        kept = values.clone()
        with torch.no_grad():
            layer.olora_init(name) if start == "olora" else layer.pissa_init(name, start)
        values.copy_(kept)
        base.data = values
        for part in ("A", "B"):
            weight = getattr(layer, f"lora_{part}")[name].weight
            weight.data = weight.data.to(values.dtype).contiguous()
            layer.register_buffer(_buffer(part, name), weight.detach().clone(), persistent=False)
        layer.lora_variant[name] = _FromStart()


def _doubled(layer: Any, name: str) -> tuple[Tensor, Tensor]:
    """Return ``[A; A0]``, shape (2r, in), and ``[B, -B0]``, shape (out, 2r), of one layer."""
    down = torch.cat([layer.lora_A[name].weight, getattr(layer, _buffer("A", name))], dim=0)
    up = torch.cat([layer.lora_B[name].weight, -getattr(layer, _buffer("B", name))], dim=1)
    return down, up


def doubled_state(model: nn.Module, name: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Convert an adapter's state to that of the equal plain LoRA of twice the rank.

    Args:
        model: The transformers model that holds the adapter.
        name: Name of the adapter.
        state: Its weights by parameter name, of rank r.

    Returns:
        The converted state; an unchanged copy if the adapter was not initialised from the base.
    """
    state = dict(state)
    for path, layer in _started(model, name):
        down, up = _doubled(layer, name)
        state[f"{path}.lora_A.weight"], state[f"{path}.lora_B.weight"] = down.detach(), up.detach()
    return state


def split_state(model: nn.Module, name: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Invert :func:`doubled_state`: copy ``A0`` and ``B0`` into the model's buffers, and return the state of rank r.

    Raises:
        InputError: The rank in the state is not twice that of the adapter.
    """
    state = dict(state)
    for path, layer in _started(model, name):
        rank = layer.lora_A[name].weight.shape[0]
        down, up = state[f"{path}.lora_A.weight"], state[f"{path}.lora_B.weight"]
        if down.shape[0] != 2 * rank:
            raise InputError(
                f"{path} has rank {down.shape[0]} in the file where {2 * rank} is expected",
                f"add the adapter with r={down.shape[0] // 2}",
            )
        with torch.no_grad():
            getattr(layer, _buffer("A", name)).copy_(down[rank:])
            getattr(layer, _buffer("B", name)).copy_(-up[:, rank:])
        state[f"{path}.lora_A.weight"], state[f"{path}.lora_B.weight"] = down[:rank], up[:, :rank]
    return state


def doubled_config(config: LoraConfig) -> LoraConfig:
    """Return the configuration of the plain LoRA of :func:`doubled_state`: twice the rank and the same scaling."""
    config = deepcopy(config)
    config.r *= 2
    # The scaling is alpha / r, or alpha / sqrt(r) with use_rslora.
    factor = math.sqrt(2) if config.use_rslora else 2
    config.lora_alpha = config.lora_alpha * factor  # type: ignore[assignment]
    config.rank_pattern = {key: 2 * rank for key, rank in (config.rank_pattern or {}).items()}
    config.alpha_pattern = {key: factor * alpha for key, alpha in (config.alpha_pattern or {}).items()}
    return config


def has_start(model: nn.Module, name: str) -> bool:
    """Return whether the adapter was initialised from the base's weights."""
    return bool(_started(model, name))


def forget_start(model: nn.Module, name: str) -> None:
    """Remove the buffers with the initial weights of an adapter, before the adapter itself is removed."""
    for _, layer in _started(model, name):
        for part in ("A", "B"):
            delattr(layer, _buffer(part, name))
        layer.lora_variant.pop(name, None)


def _started(model: nn.Module, name: str) -> list[tuple[str, Any]]:
    """List the paths and layers of an adapter that was initialised from the base."""
    return [
        (path, module)
        for path, module in model.named_modules()
        if isinstance(module, LoraLayer) and hasattr(module, _buffer("A", name))
    ]


def _buffer(part: str, name: str) -> str:
    return f"start_{part}_{name}"


def _names(layer: LoraLayer) -> set[str]:
    return {*layer.lora_A, *layer.lora_embedding_A}
