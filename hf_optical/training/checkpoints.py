"""The part of a checkpoint that the host trainers leave out: parameters and buffers of the losses."""

from __future__ import annotations

import json
import os
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from hf_optical.errors import InputError

LOSS_STATE = "loss_state.safetensors"
_STATE = "trainer_state.json"
# The student is saved as a model of its own, the teacher is frozen and belongs to whoever made it.
_MODELS = {"model", "teacher"}


def last_whole_checkpoint(folder: str | Path) -> str | None:
    """The newest checkpoint that was written to its end, or ``None``.

    The host writes ``trainer_state.json`` last: a checkpoint without it, or with half of it, was cut short, and is
    passed over.
    """
    whole = [path.parent for path in Path(folder).glob(f"checkpoint-*/{_STATE}") if _is_json(path)]
    numbered = [path for path in whole if path.name.rpartition("-")[2].isdigit()]
    return str(max(numbered, key=lambda path: int(path.name.rpartition("-")[2]))) if numbered else None


@contextmanager
def naming_the_last(folder: str | Path) -> Iterator[None]:
    """Say, when a training is interrupted (Ctrl-C), from where its next start goes on; the interrupt passes."""
    try:
        yield
    except KeyboardInterrupt:
        if int(os.environ.get("RANK", "0")) == 0:  # once, however many processes were launched
            last = last_whole_checkpoint(folder)
            where = f"goes on from {last}" if last else "starts anew: no checkpoint was written yet"
            sys.stderr.write(f"\nTraining stopped; the same command {where}\n")
        raise


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True


def check_checkpoint(folder: str | Path) -> None:
    """Stop if a checkpoint lacks something, or holds damaged files: the hosts would go on without them, silently.

    Args:
        folder: The checkpoint that training is to go on from.

    Raises:
        InputError: No or damaged weights, optimizer, scheduler or random state; a state of another step.
    """
    folder = Path(folder)
    remedy = f"remove {folder} to go on from an earlier checkpoint, or from the start"
    state = json.loads((folder / _STATE).read_text(encoding="utf-8"))
    step = state.get("global_step") if isinstance(state, dict) else None
    if not isinstance(step, int) or str(step) != folder.name.rpartition("-")[2]:
        problem = f"found {step!r:.40} where the folder's number is expected"
        raise InputError(problem, remedy, path=folder / _STATE, field="global_step")
    weights = [*folder.rglob("*.safetensors")]
    if not any(path.name != LOSS_STATE for path in weights):
        raise InputError("model.safetensors is missing", remedy, path=folder)
    for pattern in ("optimizer.pt", "scheduler.pt", "rng_state*.pth"):
        found = [*folder.glob(pattern)]
        if not found:
            raise InputError(f"{pattern} is missing", remedy, path=folder)
        # torch.save writes zip files, whose directory is at the end: one that was cut short has none.
        for path in found:
            if not zipfile.is_zipfile(path):
                raise InputError("the file is damaged", remedy, path=path)
    for path in weights:
        try:
            with safe_open(path, framework="pt"):
                pass
        except SafetensorError as error:
            raise InputError(f"the file is damaged ({error})", remedy, path=path) from None


def _own_state(loss: nn.Module | dict[str, nn.Module]) -> dict[str, Tensor]:
    """Parameters and buffers that belong to the losses alone, without student and teacher.

    Example:
        >>> import torch
        >>> loss = nn.Module(); loss.model = nn.Linear(1, 1); loss.scale = nn.Parameter(torch.ones(1))
        >>> list(_own_state({"bitext/eng_Latn-swh_Latn": loss}))
        ['bitext/eng_Latn-swh_Latn|scale']
    """
    losses = loss if isinstance(loss, dict) else {"": loss}
    return {
        f"{name}|{key}": value
        for name, module in losses.items()
        for key, value in module.state_dict().items()
        if not _MODELS & set(key.split("."))
    }


def save_loss_state(loss: nn.Module | dict[str, nn.Module], folder: str | Path) -> None:
    """Write the losses' own state into a checkpoint folder; nothing is written where there is none."""
    state = _own_state(loss)
    if state:
        # Clones: one loss may serve several data sets, and safetensors refuses shared memory.
        save_file({key: value.detach().clone().contiguous() for key, value in state.items()}, Path(folder) / LOSS_STATE)


def load_loss_state(loss: nn.Module | dict[str, nn.Module], folder: str | Path) -> None:
    """Read it back.

    Raises:
        InputError: The checkpoint has no such state, or that of another loss.
    """
    state = _own_state(loss)
    if not state:
        return
    file = Path(folder) / LOSS_STATE
    saved = load_file(file) if file.is_file() else {}
    if {key: value.shape for key, value in saved.items()} != {key: value.shape for key, value in state.items()}:
        raise InputError(
            f"the checkpoint holds the loss parameters {sorted(saved)}, this run has {sorted(state)}",
            "resume with the losses that the checkpoint was written with",
            path=file,
        )
    for key, value in state.items():  # state_dict's tensors share memory with the parameters
        value.copy_(saved[key])
