"""Parameters and buffers of the losses in a checkpoint, which the trainers of sentence-transformers do not save."""

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
# Left out: the student is saved as a model, and the teacher is frozen and kept by whoever made it.
_MODELS = {"model", "teacher", "untrained"}


def last_whole_checkpoint(folder: str | Path) -> str | None:
    """Find the newest checkpoint that was written completely, or return ``None``.

    The Trainer writes ``trainer_state.json`` last. A checkpoint in which this file is missing or incomplete was
    interrupted while it was written, and is skipped.
    """
    whole = [path.parent for path in Path(folder).glob(f"checkpoint-*/{_STATE}") if _is_json(path)]
    numbered = [path for path in whole if path.name.rpartition("-")[2].isdigit()]
    return str(max(numbered, key=lambda path: int(path.name.rpartition("-")[2]))) if numbered else None


@contextmanager
def naming_the_last(folder: str | Path) -> Iterator[None]:
    """Print, when training is interrupted (Ctrl-C), where the next start resumes; the interrupt is raised again."""
    try:
        yield
    except KeyboardInterrupt:
        if int(os.environ.get("RANK", "0")) == 0:  # on one process only
            last = last_whole_checkpoint(folder)
            where = (
                f"resumes from {last}" if last else ("starts from the beginning, because no checkpoint was written yet")
            )
            sys.stderr.write(f"\nTraining stopped; the same command {where}\n")
        raise


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True


def check_checkpoint(folder: str | Path) -> None:
    """Raise an error if files of a checkpoint are missing or damaged; the Trainer would silently go on without them.

    Args:
        folder: The checkpoint from which training resumes.

    Raises:
        InputError: Weights, optimizer, scheduler or random state are missing or damaged, or the state is that of
            another step.
    """
    folder = Path(folder)
    remedy = f"remove {folder} to resume from an earlier checkpoint, or from the start"
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
        # torch.save writes zip files, whose directory is at the end: a truncated file has no directory.
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
    """Collect the parameters and buffers of the losses, without student and teacher.

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
    """Write the losses' own state into a checkpoint folder, if they have any."""
    state = _own_state(loss)
    if state:
        # Cloned, because one loss may serve several data sets and safetensors refuses shared memory.
        save_file({key: value.detach().clone().contiguous() for key, value in state.items()}, Path(folder) / LOSS_STATE)


def load_loss_state(loss: nn.Module | dict[str, nn.Module], folder: str | Path) -> None:
    """Read the losses' own state back from a checkpoint.

    Raises:
        InputError: The checkpoint has no such state, or the state of another loss.
    """
    state = _own_state(loss)
    if not state:
        return
    file = Path(folder) / LOSS_STATE
    saved = load_file(file) if file.is_file() else {}
    if {key: value.shape for key, value in saved.items()} != {key: value.shape for key, value in state.items()}:
        raise InputError(
            f"the checkpoint holds the loss parameters {sorted(saved)}, but this run has {sorted(state)}",
            "resume with the losses that the checkpoint was written with",
            path=file,
        )
    for key, value in state.items():  # copied in place: the tensors of state_dict share memory with the parameters
        value.copy_(saved[key])
