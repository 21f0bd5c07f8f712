"""Checks that a run's options work with weights sharded over processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hf_optical.errors import InputError

if TYPE_CHECKING:
    from hf_optical.runs.options import TrainConfig


def check_sharding(config: TrainConfig, args: Any) -> None:
    """Raise an error under DeepSpeed, and under FSDP with options that need whole weights.

    Args:
        config: The options.
        args: The trainer's arguments made from the options.

    Raises:
        InputError: The run uses DeepSpeed; or FSDP with adapters, partly trained embeddings, the monitor or held-out
            pairs.
    """
    from accelerate import PartialState

    kind = PartialState().distributed_type
    if args.deepspeed or kind == "DEEPSPEED":
        raise InputError(
            "DeepSpeed runs the optimizer in its own engine and skips the check that stops before a non-finite step",
            "launch with recipes/accelerate/fsdp2.yaml, which shards the weights too, or with multi_gpu.yaml",
        )
    if not args.fsdp and kind != "FSDP":
        return
    for field, wrong, remedy in (
        ("adapter", config.adapter != "none", "an adapter is small: launch with recipes/accelerate/multi_gpu.yaml"),
        ("train_embeddings", config.train_embeddings != "all", "leave it out, because sharding saves that memory too"),
        (
            "monitor",
            config.monitor != "off",
            "add --monitor off, because the monitor encodes on one process during training",
        ),
        (
            "held_out",
            bool(config.share_held_out),
            "add --held_out 0, because held-out pairs are encoded on one process during training",
        ),
    ):
        if wrong:
            raise InputError(f"is {getattr(config, field)!r}, which does not work with FSDP", remedy, field=field)
