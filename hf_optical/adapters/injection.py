"""Adding adapters to a transformers model and removing them, through peft and without changing the base."""

from __future__ import annotations

import warnings
from copy import deepcopy
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora.layer import Embedding, Linear, LoraLayer
from peft.utils.other import AuxiliaryTrainingWrapper, ModulesToSaveWrapper
from torch import Tensor, nn

from hf_optical.adapters.configs import check_config, is_mutating
from hf_optical.adapters.starts import doubled_state, forget_start, has_start, split_state, start_from_base
from hf_optical.errors import InputError

_PREFIX = "base_model.model."  # prefix of parameter names in peft's files


def inject(model: Any, name: str, config: Any) -> None:
    """Add an adapter to a model.

    Args:
        model: A transformers model.
        name: Name of the adapter, a FLORES code.
        config: A ``peft.LoraConfig``, which is copied.

    Raises:
        InputError: The configuration is not supported or does not fit the model. The model is then unchanged.
    """
    config = deepcopy(check_config(config))
    start = config.init_lora_weights
    if is_mutating(start):
        config.init_lora_weights = True
    config.inference_mode = False
    config.base_model_name_or_path = None  # a local path would not exist on other machines
    before = set(getattr(model, "peft_config", ()))
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Already found a `peft_config` attribute")
            inject_adapter_in_model(config, model, name)
        model._hf_peft_config_loaded = True
        _check_layers(model, name)
        if is_mutating(start):
            start_from_base(model, name, str(start))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        if name in set(getattr(model, "peft_config", ())) - before:
            eject(model, name)
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"peft cannot put this adapter into {type(model).__name__}: {error}",
            "name target_modules, modules_to_save and layers that the model has; target_modules='all-linear' takes "
            "all linear layers",
        ) from error


def eject(model: Any, name: str) -> None:
    """Remove an adapter from a model."""
    forget_start(model, name)
    for module in model.modules():
        if isinstance(module, (LoraLayer, AuxiliaryTrainingWrapper)):
            module.set_adapter([])  # otherwise peft activates another adapter in place of the removed one
    model._hf_peft_config_loaded = True
    model.delete_adapter(name)


def saved_state(model: Any, name: str) -> dict[str, Tensor]:
    """Return an adapter's weights under the model's parameter names, without the adapter's own name in them."""
    return doubled_state(model, name, _state(model, name))


def load_state(model: Any, name: str, state: dict[str, Tensor]) -> None:
    """Copy weights into an adapter.

    Args:
        model: The transformers model that holds the adapter.
        name: Name of the adapter.
        state: Weights as :func:`saved_state` returns them, or under the names of peft's files.

    Raises:
        InputError: Names or shapes differ from the adapter's.
    """
    state = {key.removeprefix(_PREFIX): value for key, value in state.items()}
    own = _state(model, name)
    if set(state) != set(own):
        odd = sorted(set(state) ^ set(own))
        raise InputError(
            f"the weights of {name} and the model's adapter differ in {len(odd)} names; the first is {odd[0]!r}",
            "load them into a model and an adapter of the same shape",
        )
    if has_start(model, name):
        state = split_state(model, name, state)
    for key, target in own.items():
        if target.shape != state[key].shape:
            raise InputError(
                f"{key} of {name} is {tuple(state[key].shape)} in the file and {tuple(target.shape)} in the model",
                "load it into a model and an adapter of the same shape",
            )
    with torch.no_grad():
        for key, target in own.items():  # these tensors share memory with the parameters
            target.copy_(state[key])


def file_state(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return contiguous copies of the weights on the CPU, under the parameter names of peft's files."""
    return {_PREFIX + key: value.detach().clone().contiguous().cpu() for key, value in state.items()}


def loaded_config(values: dict[str, Any]) -> LoraConfig:
    """Build a configuration from the content of ``adapter_config.json`` and check it.

    Args:
        values: The parsed file.

    Raises:
        InputError: It is not a LoRA configuration, or one that language adapters do not support.
    """
    if values.get("peft_type") != "LORA":
        raise InputError(
            f"is {values.get('peft_type')!r}",
            "language adapters use LoRA; load other adapters with peft itself",
            field="peft_type",
        )
    try:
        config = LoraConfig.from_peft_type(**values)
    except (TypeError, ValueError) as error:
        raise InputError(f"peft cannot read the configuration: {error}", "save the adapter again") from error
    return check_config(config)


def _state(model: nn.Module, name: str) -> dict[str, Tensor]:
    """Return an adapter's parameters, under the names that peft gives them in its own state dict."""
    # peft's own function fails if another adapter has trainable tokens and this one does not.
    state = {}
    for path, value in model.named_parameters():
        parts = path.split(".")
        if name in parts:
            kept = [part for part in parts if part not in (name, "modules_to_save")]
            state[".".join(kept)] = value.detach()
    return state


def _check_layers(model: nn.Module, name: str) -> None:
    """Refuse layers for which peft cannot choose the adapter row by row."""
    for path, module in model.named_modules():
        if isinstance(module, ModulesToSaveWrapper) and name in module.modules_to_save:
            original = module.original_module
            if not isinstance(original, (nn.Linear, nn.Embedding)):
                raise InputError(
                    f"{path} is a {type(original).__name__}, for which peft cannot choose an adapter row by row",
                    "name linear layers or embeddings",
                    field="modules_to_save",
                )
        elif isinstance(module, LoraLayer) and not isinstance(module, (Linear, Embedding, AuxiliaryTrainingWrapper)):
            raise InputError(
                f"{path} is a {type(module).__name__}, for which peft cannot choose an adapter row by row",
                "name linear layers or embeddings",
                field="target_modules",
            )
