"""Options of a training run: one dataclass, defined in groups, and the trainer arguments made from it."""

from hf_optical.runs.options.accelerator import on_cpu
from hf_optical.runs.options.lora import LoraOptions
from hf_optical.runs.options.train_config import TrainConfig

__all__ = ["LoraOptions", "TrainConfig", "on_cpu"]
