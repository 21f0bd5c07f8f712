"""Checks of LoRA configurations: which of peft's options a language adapter supports, and why others are refused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from hf_optical.errors import InputError

if TYPE_CHECKING:
    from peft import LoraConfig

_NEEDS_DATA = "is initialised from training data, which adapters of other languages would not share"
_REFUSED = {
    "use_dora": "DoRA's magnitudes are lost when sentence-transformers loads the adapter (an error of 2.5e-2 without "
    "a warning), and peft cannot mix it with other adapters in one batch",
    "alora_invocation_tokens": "it acts on single tokens of a prompt, which retrieval texts do not have",
    "use_qalora": "it needs a quantised base, which is not tested here",
    "use_bdlora": "it is not tested here",
    "layer_replication": "it changes the base that all languages share",
    "loftq_config": "it changes the base that all languages share",
    "eva_config": _NEEDS_DATA,
    "corda_config": _NEEDS_DATA,
    "lora_ga_config": _NEEDS_DATA,
    "velora_config": "it is not tested here",
    "monteclora_config": "it is not tested here",
    "arrow_config": "it is not tested here",
    "kasa_config": "it changes the base that all languages share",
    "target_parameters": "peft cannot mix it with other adapters in one batch",
}
_STARTS = "True, 'gaussian', 'orthogonal', 'pissa', 'pissa_niter_4' or 'olora'"


def lora_config(**options: Any) -> LoraConfig:
    """Create a LoRA configuration and check it.

    Args:
        options: Options of :class:`peft.LoraConfig`. Defaults: ``r=16``, ``lora_alpha`` twice ``r``,
            ``lora_dropout=0``, and peft's target modules for the model (query and value projections).

    Returns:
        The configuration, which :func:`check_config` accepts.

    Raises:
        InputError: peft does not have an option, or language adapters do not support it; the message says why.

    Example:
        >>> config = lora_config(r=8, use_rslora=True)
        >>> config.r, config.lora_alpha, config.use_rslora
        (8, 16, True)
    """
    from peft import LoraConfig

    options.setdefault("r", 16)
    options.setdefault("lora_alpha", 2 * options["r"])
    options.setdefault("task_type", "FEATURE_EXTRACTION")
    try:
        config = LoraConfig(**options)
    except (TypeError, ValueError) as error:
        raise InputError(f"peft refuses the options: {error}", "see the options of peft.LoraConfig") from error
    return check_config(config)


def check_config(config: Any) -> LoraConfig:
    """Refuse options that peft cannot mix row by row, that do not reload exactly, or that change the base.

    Args:
        config: A ``peft.LoraConfig``, created by :func:`lora_config`, given by the user or read from a file.

    Returns:
        The same configuration.

    Raises:
        InputError: An option is refused; the message names it and says why.
    """
    from peft import LoraConfig

    if not isinstance(config, LoraConfig):
        raise InputError(
            f"the configuration is a {type(config).__name__}", "language adapters use LoRA: give a peft.LoraConfig"
        )
    for option, reason in _REFUSED.items():
        value = getattr(config, option, None)
        if value:
            remedy = "use_rslora=True, or a higher r" if option == "use_dora" else "leave it out"
            raise InputError(f"is refused: {reason}", remedy, field=option)
    if config.bias != "none":
        raise InputError(
            f"is {config.bias!r}: it trains biases of the base, which all languages share",
            "use bias='none', or lora_bias=True to train biases of the adapter",
            field="bias",
        )
    if not isinstance(config.r, int) or config.r < 1:
        raise InputError(f"is {config.r!r}", "give a positive whole number, e.g. 16", field="r")
    start = config.init_lora_weights
    if start not in (True, False, "gaussian", "orthogonal") and not is_mutating(start):
        raise InputError(f"is {start!r}", f"use {_STARTS}", field="init_lora_weights")
    return config


def is_mutating(start: bool | str) -> bool:
    """Return whether a value of peft's ``init_lora_weights`` changes the base's weights (PiSSA, OLoRA).

    Example:
        >>> is_mutating("pissa_niter_4"), is_mutating("olora"), is_mutating("gaussian"), is_mutating(True)
        (True, True, False, False)
    """
    return isinstance(start, str) and re.fullmatch(r"olora|pissa(_niter_\d+)?", start) is not None
