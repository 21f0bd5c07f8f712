"""Under torchrun: the same training with the teacher and with a cache of it, that one process fills for both."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import tiny_models
import torch
from torchrun import PLAIN_STEPS, leave

from hf_optical.training.arguments import OTDistillationTrainingArguments
from hf_optical.training.trainer import OTDistillationTrainer

folder, rank = Path(sys.argv[1]), int(os.environ["RANK"])
torch.set_num_threads(1)


def trainer(teacher, **options):
    student = tiny_models.dense(folder / f"student{rank}", tiny_models.SWAHILI, seed=5)
    args = OTDistillationTrainingArguments(
        output_dir=str(folder / "out"),
        per_device_train_batch_size=4,
        learning_rate=1e-2,
        max_steps=8,
        objective="ot+nce",
        **PLAIN_STEPS,
    )
    return OTDistillationTrainer(student, args, tiny_models.bitext(32), teacher=teacher, **options)


def weights(trainer):
    return {name: value.detach().clone() for name, value in trainer.model.state_dict().items()}


teacher = tiny_models.dense(folder / f"teacher{rank}", tiny_models.ENGLISH)
online = trainer(teacher)
found = {"start": weights(online)}
online.train()
found["online"] = weights(online)
cached = trainer(teacher, teacher_cache=folder / "cache")
asked = []
train = OTDistillationTrainer._inner_training_loop


def counted(self, *args, **options):
    self.teacher.online.register_forward_hook(lambda *_: asked.append(1))
    return train(self, *args, **options)


OTDistillationTrainer._inner_training_loop = counted
cached.train()
found |= {"cached": weights(cached), "texts": len(cached.teacher.reader), "asked": len(asked)}
torch.save(found, folder / f"rank{rank}.pt")
del online, cached
leave()
