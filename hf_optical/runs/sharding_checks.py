"""What of a run's options does not go with weights that are spread over processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hf_optical.errors import InputError

if TYPE_CHECKING:
    from hf_optical.runs.options import TrainConfig


def check_sharding(config: TrainConfig, args: Any) -> None:
    """Stop where a run is launched under DeepSpeed, or under FSDP with options that look at whole weights.

    Args:
        config: The options.
        args: The trainer's arguments, made of them.

    Raises:
        InputError: DeepSpeed; or FSDP with an adapter, a part of the embeddings, the monitor or held-out pairs.
    """
    from accelerate import PartialState

    kind = PartialState().distributed_type
    if args.deepspeed or kind == "DEEPSPEED":
        raise InputError(
            "DeepSpeed takes the optimizer's step in its own engine, past the check that stops before a step that is "
            "not finite",
            "launch with recipes/accelerate/fsdp2.yaml, which spreads the weights too, or with multi_gpu.yaml",
        )
    if not args.fsdp and kind != "FSDP":
        return
    for field, wrong, remedy in (
        ("adapter", config.adapter != "none", "an adapter is small: launch with recipes/accelerate/multi_gpu.yaml"),
        ("train_embeddings", config.train_embeddings != "all", "leave it out: sharding saves that memory too"),
        ("monitor", config.monitor != "off", "add --monitor off: it reads on one process in mid-training"),
        ("held_out", bool(config.share_held_out), "add --held_out 0: they are read on one process in mid-training"),
    ):
        if wrong:
            raise InputError(f"is {getattr(config, field)!r}, which FSDP does not go with", remedy, field=field)
