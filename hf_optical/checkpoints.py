"""The part of a checkpoint that the host trainers leave out: parameters and buffers of the losses."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from hf_optical.errors import InputError

LOSS_STATE = "loss_state.safetensors"
# The student is saved as a model of its own, the teacher is frozen and belongs to whoever made it.
_MODELS = {"model", "teacher"}


def last_whole_checkpoint(folder: str | Path) -> str | None:
    """The newest checkpoint that was written to its end, or ``None``.

    The host writes ``trainer_state.json`` last: a checkpoint without it, or with half of it, was cut short, and is
    passed over.
    """
    whole = [path.parent for path in Path(folder).glob("checkpoint-*/trainer_state.json") if _is_json(path)]
    numbered = [path for path in whole if path.name.rpartition("-")[2].isdigit()]
    return str(max(numbered, key=lambda path: int(path.name.rpartition("-")[2]))) if numbered else None


def _is_json(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return True


def own_state(loss: nn.Module | dict[str, nn.Module]) -> dict[str, Tensor]:
    """Parameters and buffers that belong to the losses alone, without student and teacher.

    Example:
        >>> import torch
        >>> loss = nn.Module(); loss.model = nn.Linear(1, 1); loss.scale = nn.Parameter(torch.ones(1))
        >>> list(own_state({"bitext/eng_Latn-swh_Latn": loss}))
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
    state = own_state(loss)
    if state:
        # Clones: one loss may serve several data sets, and safetensors refuses shared memory.
        save_file({key: value.detach().clone().contiguous() for key, value in state.items()}, Path(folder) / LOSS_STATE)


def load_loss_state(loss: nn.Module | dict[str, nn.Module], folder: str | Path) -> None:
    """Read it back.

    Raises:
        InputError: The checkpoint has no such state, or that of another loss.
    """
    state = own_state(loss)
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
