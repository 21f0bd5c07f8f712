"""Load encoders from an id or folder, and save them whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from sentence_transformers import MultiVectorEncoder, SentenceTransformer
from sentence_transformers.base.model import BaseModel
from torch import nn

from hf_optical.errors import HFOpticalError, InputError


def load_encoder(name_or_path: str, *, device: str | None = None) -> BaseModel:
    """A dense or late-interaction encoder, whichever the id or folder holds.

    Args:
        name_or_path: A sentence-transformers model: Hub id or local folder. Remote code is never run.
        device: As in sentence-transformers; chosen by it when ``None``.

    Raises:
        InputError: No such model, or the Hub cannot be reached.
    """
    try:
        # float32 whatever the file holds: the transport and the optimizer need it; autocast lowers it where wanted.
        options: dict[str, Any] = {"device": device, "model_kwargs": {"dtype": "float32"}}
        if _is_late_interaction(name_or_path):
            return MultiVectorEncoder(name_or_path, **options)
        return SentenceTransformer(name_or_path, **options)
    except (OSError, ValueError, HfHubHTTPError) as error:
        raise InputError(
            f"no model could be loaded ({type(error).__name__}: {str(error).splitlines()[0][:200]})",
            "give the id of a sentence-transformers model on the Hub, or a local folder that holds one",
            path=name_or_path,
        ) from error


def save_whole(model: BaseModel, folder: str | Path) -> None:
    """Save a model so that the folder is complete or absent, also after a kill: written beside, then renamed."""
    folder = Path(folder)
    scratch = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.parent.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(str(scratch))
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(scratch, folder)


def push(model: BaseModel, repository: str, folder: Path) -> None:
    """Publish a model under a Hub id, private when it is new; the token comes from the environment or the login.

    Raises:
        InputError: The Hub refused, or could not be reached; the model is still in ``folder``.
    """
    try:
        model.push_to_hub(repository, private=True, exist_ok=True)
    except (OSError, ValueError, HfHubHTTPError) as error:
        raise InputError(
            f"the model could not be published as {repository!r} ({type(error).__name__})",
            f"it is saved; log in with `hf auth login`, then: hf upload {repository} {folder}",
            field="push_to_hub",
        ) from error


def set_dropout(model: nn.Module, probability: float) -> None:
    """Set every dropout of a model. Distillation has no labels to overfit, and moves faster without."""
    if not 0 <= probability < 1:
        raise InputError(f"the dropout is {probability}", "give a number from 0 to below 1", field="dropout")
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = probability


def check_same_on_all_processes(model: nn.Module) -> int:
    """Stop if the processes of a distributed run ended with different weights.

    Returns:
        How many processes agree.

    Raises:
        HFOpticalError: They do not; what was trained is not one model.
    """
    if PartialState().num_processes == 1:
        return 1
    digest = hashlib.sha256()
    for name, value in model.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    digests = gather_object([digest.hexdigest()])
    if len(set(digests)) > 1:
        raise HFOpticalError(
            f"{len(digests)} processes ended with {len(set(digests))} different sets of weights; nothing is saved. "
            "Parameters outside the wrapped model (of a loss, say) are not kept equal: train on one process"
        )
    return len(digests)


def _is_late_interaction(name_or_path: str) -> bool:
    name = "config_sentence_transformers.json"
    try:
        local = Path(name_or_path) / name
        file = local if Path(name_or_path).is_dir() else Path(hf_hub_download(name_or_path, name))
        return json.loads(file.read_text(encoding="utf-8")).get("model_type") in ("MultiVectorEncoder", "ColBERT")
    except (FileNotFoundError, HfHubHTTPError, LocalEntryNotFoundError, json.JSONDecodeError):
        return False
