"""One optimizer step of every loss that contrasts across processes; writes the loss and the gradients.

Run by torchrun as ``gathered_gradients.py FOLDER``; the models lie in FOLDER already. Imported for the single process.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import tiny_models
import torch
from datasets import Dataset
from torchrun import PLAIN_STEPS

from hf_optical import (
    MultiVectorOTDistillationTrainer,
    OTDistillationTrainer,
    OTDistillationTrainingArguments,
)
from hf_optical.encoders.models import load_encoder

ROWS = 8
CASES = [
    (kind, late, cached)
    for kind in ("mono", "cross", "bitext")
    for late in (False, True)
    for cached in ((False, True) if kind != "bitext" else (False,))
]


def name_of(kind: str, late: bool, cached: bool) -> str:
    return f"{kind}-{'late' if late else 'dense'}{'-cached' if cached else ''}"


def save_models(folder: Path) -> None:
    for late in (False, True):
        make = tiny_models.late if late else tiny_models.dense
        for name, words, seed in (("student", tiny_models.SWAHILI, 1), ("teacher", tiny_models.ENGLISH, 0)):
            make(folder / "parts", words, seed=seed).save_pretrained(str(folder / f"{name}-{late}"))


def rows_of(kind: str) -> dict[str, Dataset]:
    """As many rows as the global batch has, so that both runs see the same batch whatever their order."""
    pairs = tiny_models.bitext(ROWS, seed=3)
    if kind == "bitext":
        return {"bitext/eng_Latn-swh_Latn": pairs}
    columns = {"query": pairs["translation"], "passage": tiny_models.bitext(ROWS, seed=4)["translation"]}
    if kind == "mono":
        return {"mono/swh_Latn": Dataset.from_dict(columns)}
    columns["negative"] = tiny_models.bitext(ROWS, seed=5)["translation"]
    return {"cross/swh_Latn-eng_Latn": Dataset.from_dict(columns)}


def one_step(folder: Path, kind: str, late: bool, cached: bool, processes: int) -> dict[str, torch.Tensor]:
    """The loss of the global batch and its gradients: with SGD at rate 1, what the step takes from the weights."""
    student, teacher = (load_encoder(str(folder / f"{name}-{late}"), device="cpu") for name in ("student", "teacher"))
    before = {name: value.clone() for name, value in student.state_dict().items()}
    args = OTDistillationTrainingArguments(
        output_dir=str(folder / "out"),
        max_steps=1,
        per_device_train_batch_size=ROWS // processes,
        learning_rate=1.0,
        logging_strategy="no",
        objective="ot+nce",
        temperature=0.05,
        contrastive_mini_batch=2 if cached else None,
        **PLAIN_STEPS,
    )
    trainer = (MultiVectorOTDistillationTrainer if late else OTDistillationTrainer)(
        model=student, teacher=teacher, args=args, train_dataset=rows_of(kind)
    )
    losses, host = [], trainer.compute_loss
    trainer.compute_loss = lambda *args, **options: losses.append(host(*args, **options)) or losses[-1]
    trainer.train()
    loss = losses[0].detach().clone()
    if processes > 1:
        torch.distributed.all_reduce(loss)
    found = {name: before[name] - value for name, value in student.state_dict().items()}
    return {**found, "loss": loss / processes}


def main() -> None:
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    found = {name_of(*case): one_step(folder, *case, processes=2) for case in CASES}
    torch.save(found, folder / f"rank{torch.distributed.get_rank()}.pt")
    # Trainers first: see tests/batching/sampling_run.py.
    gc.collect()
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
