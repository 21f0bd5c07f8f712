"""Twenty steps of a tiny student on one process, or sharded over two (FSDP2). For ``test_fsdp.py``.

Run by torchrun as ``fsdp_training.py FOLDER NAME SHARDED [RESUME]``; the models lie in FOLDER already.
"""

from __future__ import annotations

import sys
from pathlib import Path

import tiny_models
import torch
from accelerate import PartialState
from accelerate.utils import DistributedType
from torchrun import PLAIN_STEPS, leave

from hf_optical import OTDistillationTrainer, OTDistillationTrainingArguments
from hf_optical.encoders.models import load_encoder
from hf_optical.training.sharding import whole_weights

BATCH, STEPS = 8, 20


def main(folder: Path, name: str, sharded: bool, resume: bool) -> None:
    torch.set_num_threads(1)
    student, teacher = (load_encoder(str(folder / who), device="cpu") for who in ("student", "teacher"))
    options = dict(PLAIN_STEPS) | {"save_strategy": "steps", "save_steps": 10, "learning_rate": 0.02}
    if name == "adam":  # to go on from a checkpoint: plain descent has no state that could be lost
        options |= {"optim": "adamw_torch", "learning_rate": 1e-3}
    if sharded:
        options |= {"fsdp": True, "fsdp_config": {"version": 2, "transformer_layer_cls_to_wrap": ["BertLayer"]}}
    processes = 2 if sharded else 1
    args = OTDistillationTrainingArguments(
        output_dir=str(folder / name),
        max_steps=STEPS,
        per_device_train_batch_size=BATCH // processes,
        objective="ot+nce+rank",
        anchor=0.5,  # the untrained copy stays whole on every process
        temperature=0.05,
        gather_across_devices=processes > 1,
        logging_steps=5,
        **options,
    )
    if sharded:
        # accelerate shards on accelerators alone; what PyTorch shards with (FSDP2, over gloo) works on CPUs too. The
        # device is settled by now, so that the name of the setting is all that changes.
        assert args.device.type == "cpu"
        PartialState().distributed_type = DistributedType.MULTI_GPU
    trainer = OTDistillationTrainer(
        model=student,
        teacher=teacher,
        args=args,
        # Every batch of the two ranks together is one batch of the single process: the order is the same.
        train_dataset={"bitext/eng_Latn-swh_Latn": tiny_models.bitext(BATCH)},
    )
    if sharded:
        assert trainer.accelerator.is_fsdp2
    trainer.train(resume_from_checkpoint=str(folder / name / "checkpoint-10") if resume else None)
    trainer.save_model(str(folder / name / "model"))
    weights = {name: value.cpu() for name, value in whole_weights(student).items()}
    if trainer.is_world_process_zero():
        torch.save(weights, folder / f"{name}{'-resumed' if resume else ''}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], bool(int(sys.argv[3])), len(sys.argv) > 4)
    leave()
