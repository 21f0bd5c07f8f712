"""Support for weights that FSDP2 shards over processes: preparing, saving whole tensors, loading."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

_NO_PART = "no part of this name"
_HOOKS = (
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
)


def is_sharded(model: nn.Module) -> bool:
    """Return whether parameters of a model are sharded over processes.

    Example:
        >>> is_sharded(nn.Linear(2, 1))
        False
    """
    if not torch.distributed.is_available():
        return False
    from torch.distributed.tensor import DTensor

    return any(isinstance(parameter, DTensor) for parameter in model.parameters())


def hide_normalisation(model: nn.Module) -> None:
    """Keep accelerate from sharding ``Normalize``, the last module whose name contains Norm, which has no weights.

    accelerate looks for the last normalisation layer in a model's base model. An encoder of sentence-transformers names
    no base model, so that accelerate would take ``Normalize``, which cannot be wrapped.
    """
    model.base_model_prefix = _NO_PART  # type: ignore[assignment]


@contextmanager
def whole(model: nn.Module) -> Iterator[None]:
    """Temporarily turn a sharded model into the plain model with whole tensors; all processes must enter.

    Inside, each process works alone: it can save, or run a forward pass (the model cards of sentence-transformers run
    one). The whole weights must fit on each device. A model that is not sharded is not changed.
    """
    if not is_sharded(model):
        yield
        return
    from torch.distributed.fsdp import FSDPModule
    from torch.distributed.tensor import DTensor

    classes: list[tuple[nn.Module, type]] = [
        (module, type(module)) for module in model.modules() if isinstance(module, FSDPModule)
    ]
    shards: list[tuple[nn.Module, str, Any]] = [
        (module, name, parameter)
        for module in model.modules()
        for name, parameter in module._parameters.items()
        if isinstance(parameter, DTensor)
    ]
    # A tensor that two modules share stays shared.
    gathered: dict[int, nn.Parameter] = {}
    for _, _, parameter in shards:
        if id(parameter) not in gathered:
            values = parameter.full_tensor().detach()
            gathered[id(parameter)] = nn.Parameter(values, requires_grad=parameter.requires_grad)
    # these hooks would gather the weights
    hooks = [(module, name, getattr(module, name)) for module, _ in classes for name in _HOOKS]
    try:
        for module, name, registered in hooks:
            setattr(module, name, type(registered)())
        for module, name, parameter in shards:
            module._parameters[name] = gathered[id(parameter)]
        for module, wrapped in classes:
            plain: Any = next(base for base in wrapped.__bases__ if not issubclass(base, FSDPModule))
            module.__class__ = plain
        yield
    finally:
        for module, wrapped in classes:
            module.__class__ = wrapped
        for module, name, registered in hooks:
            setattr(module, name, registered)
        for module, name, parameter in shards:
            module._parameters[name] = parameter


def whole_weights(model: nn.Module) -> dict[str, Tensor]:
    """Return the state of a model with whole tensors; all processes must call it.

    Example:
        >>> list(whole_weights(nn.Linear(2, 1)))
        ['weight', 'bias']
    """
    with whole(model):
        return dict(model.state_dict())


@torch.no_grad()
def load_whole(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Load whole tensors into a model, sharded or not; for a sharded model all processes must call it.

    Args:
        model: The model.
        state: State dict as returned by `whole_weights`.

    Example:
        >>> model = nn.Linear(2, 1)
        >>> load_whole(model, {"weight": torch.ones(1, 2), "bias": torch.zeros(1)})
        >>> model(torch.ones(1, 2)).item()
        2.0
    """
    from torch.distributed.tensor import DTensor, distribute_tensor

    for name, mine in model.state_dict().items():
        if isinstance(mine, DTensor):
            shards = distribute_tensor(state[name].to(mine.device), mine.device_mesh, mine.placements)
            mine.to_local().copy_(shards.to_local())
        else:
            mine.copy_(state[name])
