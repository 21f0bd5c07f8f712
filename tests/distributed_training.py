"""Trains a tiny student under whatever launcher started it, and writes every rank's weights."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import tiny_models
import torch
from accelerate import PartialState
from torchrun import PLAIN_STEPS, leave

from hf_optical import (
    MultiVectorOTDistillationTrainer,
    OTDistillationTrainer,
    OTDistillationTrainingArguments,
)
from hf_optical.encoders.models import load_encoder


def main(folder: Path, late: bool) -> None:
    torch.set_num_threads(1)
    state = PartialState(cpu=True)
    make = tiny_models.late if late else tiny_models.dense
    if state.is_main_process:  # transformers saves on the main process only
        for name, words, seed in (("student", tiny_models.SWAHILI, 1), ("teacher", tiny_models.ENGLISH, 0)):
            make(folder, words, seed=seed).save_pretrained(str(folder / name))
    state.wait_for_everyone()
    student, teacher = (load_encoder(str(folder / name), device="cpu") for name in ("student", "teacher"))
    if state.is_main_process:
        torch.save(student.state_dict(), folder / "start.pt")
    args = OTDistillationTrainingArguments(
        output_dir=str(folder / "out"),
        max_steps=5,
        per_device_train_batch_size=8 // state.num_processes,
        learning_rate=1e-2,
        objective="ot+nce",
        logging_steps=5,
        gather_across_devices=True,
        **PLAIN_STEPS,
    )
    trainer = (MultiVectorOTDistillationTrainer if late else OTDistillationTrainer)(
        model=student,
        teacher=teacher,
        args=args,
        # Every batch of the two ranks together is one batch of the single process: the order is the same.
        train_dataset={"bitext/eng_Latn-swh_Latn": tiny_models.bitext(8)},
    )
    trainer.train()
    torch.save(student.state_dict(), folder / f"rank{state.process_index}.pt")
    if state.is_main_process:
        logs = [entry for entry in trainer.state.log_history if "ot" in entry]
        (folder / "logs.json").write_text(json.dumps({name: logs[-1][name] for name in ("ot", "nce")}))


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    main(target, bool(int(sys.argv[2])))
    leave()
