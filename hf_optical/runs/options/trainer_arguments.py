"""Trainer arguments made from the options of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from accelerate import PartialState

from hf_optical.errors import InputError
from hf_optical.runs.defaults import RATE, checkpoint_interval
from hf_optical.runs.options.accelerator import on_cpu
from hf_optical.runs.sharding_checks import check_sharding
from hf_optical.training.arguments import OTDistillationTrainingArguments

if TYPE_CHECKING:
    from hf_optical.runs.options.train_config import TrainConfig


def trainer_arguments(config: TrainConfig) -> OTDistillationTrainingArguments:
    """Make and check the trainer's arguments.

    Args:
        config: The options of the run.

    Raises:
        InputError: The arguments are invalid, or as in `check_sharding`.
    """
    if config.fp16 and (config.bf16 or on_cpu()):
        problem = "is given beside bf16" if config.bf16 else "needs a GPU, and there is none here"
        raise InputError(problem, "leave it out", field="fp16")
    steps = max(1, config.max_steps or 0)  # the Trainer takes 0 for "by epochs", but such a run does not train
    prompts = {"query": config.query_prompt, "passage": config.passage_prompt}
    args = OTDistillationTrainingArguments(
        output_dir=config.output_dir,
        objective=config.objective,
        solver=config.solver,
        special_tokens=config.special_tokens,
        marginals=config.marginals,
        temperature=config.temperature,
        anchor=config.anchor,
        bank_size=config.bank_size,
        contrastive_mini_batch=config.contrastive_mini_batch,
        document_encoder=config.reads_index_of,
        train_embeddings=config.train_embeddings,
        freeze_layers=config.freeze_layers,
        max_length=config.max_length,
        max_steps=steps,
        per_device_train_batch_size=config.batch_size,
        gradient_accumulation_steps=config.gradient_accumulation_steps,
        learning_rate=RATE if config.learning_rate is None else config.learning_rate,
        warmup_steps=max(1, steps // 10),
        bf16=config.bf16,
        fp16=config.fp16,
        use_cpu=on_cpu(),
        save_steps=checkpoint_interval(config.save_steps, steps),
        save_total_limit=2,
        logging_steps=min(config.logging_steps, max(1, steps // 4)),  # a short training has a curve too
        report_to=config.report_to,
        dataloader_pin_memory=torch.cuda.is_available(),
        gather_across_devices=PartialState().num_processes > 1,
        prompts={name: prompt for name, prompt in prompts.items() if prompt is not None} or None,
        seed=config.seed,
        data_seed=config.seed,
    )
    check_sharding(config, args)
    return args
