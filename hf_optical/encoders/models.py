"""Loading encoders from an id or folder, and saving them atomically."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
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
from transformers.utils import logging as progress

from hf_optical.encoders.limits import limits_of
from hf_optical.encoders.model_folder import LOAD_ERRORS, check_model_folder, check_weights, first_line, whole_weights
from hf_optical.encoders.packaged import instead_of_the_hub
from hf_optical.errors import HFOpticalError, InputError
from hf_optical.places import user_path, whole_folder

logger = logging.getLogger(__name__)


def load_encoder(name_or_path: str, *, device: str | None = None, revision: str | None = None) -> BaseModel:
    """Load a dense or late-interaction encoder, whichever the id or folder holds.

    Args:
        name_or_path: A sentence-transformers model: Hub id or local folder. Remote code is never run.
        device: Device as in sentence-transformers, which chooses one if ``None``.
        revision: Branch, tag or commit of a Hub id.

    Raises:
        InputError: There is no such model, it is damaged or needs pickled weights or remote code, its tokenizer has
            more tokens than it has vectors, or the Hub cannot be reached.
        NonFiniteError: A weight is NaN or infinite.
    """
    folder = user_path(name_or_path)
    if folder.exists():
        name_or_path = str(folder)
        check_model_folder(folder)
        if not (folder / "modules.json").is_file():
            logger.warning(
                "%s is a plain transformers model, which does not state its pooling: mean pooling is used", folder
            )
    with whole_weights(name_or_path), _without_bars() if folder.exists() else nullcontext():
        model = _loaded(name_or_path, device, revision)
    check_weights(model, name_or_path)
    limits = limits_of(model)
    limits.check_vocabulary(name_or_path)
    if limits.positions is not None and (model.max_seq_length or 0) > limits.positions:
        logger.warning(
            "%s states a maximal length of %d tokens but has positions for %d: texts are truncated at %d",
            name_or_path, model.max_seq_length, limits.positions, limits.positions,
        )  # fmt: skip
        model.max_seq_length = limits.positions
    return model


def _loaded(name_or_path: str, device: str | None, revision: str | None) -> BaseModel:
    try:
        # Loaded in float32 whatever the file holds, because transport and optimizer need it; autocast lowers it if
        # asked.
        how = {"dtype": "float32", "use_safetensors": True}
        options: dict[str, Any] = {"device": device, "revision": revision, "model_kwargs": how}
        if names_late_interaction(name_or_path, revision):
            return MultiVectorEncoder(name_or_path, **options)
        return SentenceTransformer(name_or_path, **options)
    except LOAD_ERRORS as error:
        if isinstance(error, RuntimeError) and "mismatched" in str(error):
            raise  # `whole_weights` knows which
        raise InputError(
            f"no model could be loaded ({type(error).__name__}: {first_line(error)})",
            "give the id of a sentence-transformers model on the Hub, or a local folder that holds one"
            + instead_of_the_hub(name_or_path),
            path=name_or_path,
        ) from error


@contextmanager
def _without_bars() -> Iterator[None]:
    """Turn off transformers' progress bars, which for local weights last a fraction of a second and stay in the log."""
    if not progress.is_progress_bar_enabled():
        yield
        return
    progress.disable_progress_bar()
    try:
        yield
    finally:
        progress.enable_progress_bar()


def save_whole(model: BaseModel, folder: str | Path) -> None:
    """Save a model so that the folder is complete or absent, even after a kill: written elsewhere, then renamed."""
    with whole_folder(folder) as scratch, _without_bars():
        model.save_pretrained(str(scratch))


def set_dropout(model: nn.Module, probability: float) -> None:
    """Set every dropout of a model. Distillation has no labels to overfit and trains faster without dropout."""
    if not 0 <= probability < 1:
        raise InputError(f"the dropout is {probability}", "give a number from 0 to below 1", field="dropout")
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = probability


def check_same_on_all_processes(model: nn.Module) -> int:
    """Raise an error if the processes of a distributed run ended with different weights.

    Returns:
        The number of processes.

    Raises:
        HFOpticalError: The weights differ between processes.
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


def names_late_interaction(name_or_path: str, revision: str | None = None) -> bool:
    """Return whether a model's configuration says that it has one vector per token; nothing else is read.

    Args:
        name_or_path: Hub id or folder.
        revision: Revision of a Hub id.
    """
    name = "config_sentence_transformers.json"
    try:
        local = Path(name_or_path) / name
        file = local if Path(name_or_path).is_dir() else Path(hf_hub_download(name_or_path, name, revision=revision))
        return json.loads(file.read_text(encoding="utf-8")).get("model_type") in ("MultiVectorEncoder", "ColBERT")
    except (FileNotFoundError, HfHubHTTPError, LocalEntryNotFoundError, json.JSONDecodeError):
        return False
