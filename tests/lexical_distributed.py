"""Lexical injection of a tiny student under whatever launcher started it; writes every rank's weights."""

from __future__ import annotations

import sys
from pathlib import Path

import tiny_models
import torch
from accelerate import PartialState
from datasets import Dataset
from torchrun import PLAIN_STEPS, leave

from hf_optical import OTDistillationTrainer, OTDistillationTrainingArguments
from hf_optical.encoders.models import load_encoder


def main(folder: Path, output_weight: float) -> None:
    torch.set_num_threads(1)
    state = PartialState(cpu=True)
    if state.is_main_process:
        words = [*tiny_models.SWAHILI, *tiny_models.ENGLISH]
        tiny_models.dense(folder, words, layers=3, seed=1).save_pretrained(str(folder / "student"))
    state.wait_for_everyone()
    student = load_encoder(str(folder / "student"), device="cpu")
    args = OTDistillationTrainingArguments(
        output_dir=str(folder / "out"),
        max_steps=5,
        per_device_train_batch_size=8 // state.num_processes,
        learning_rate=1e-1,
        gather_across_devices=True,
        lexical_objective="nce",
        lexical_layer=2,
        lexical_output_weight=output_weight,
        **PLAIN_STEPS,
    )
    # Words repeat, so that false negatives of one rank's words lie on the other.
    rows = {"source": tiny_models.ENGLISH[:6] + tiny_models.ENGLISH[:2], "translation": tiny_models.SWAHILI[:8]}
    trainer = OTDistillationTrainer(
        model=student, args=args, train_dataset={"lexicon/eng_Latn-swh_Latn": Dataset.from_dict(rows)}
    )
    if state.is_main_process:
        torch.save(student.state_dict(), folder / "start.pt")
    trainer.train()
    torch.save(student.state_dict(), folder / f"rank{state.process_index}.pt")


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    main(target, float(sys.argv[2]))
    leave()
