"""Checks of a model folder before it is loaded: missing, unsafe or inconsistent files."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import HfHubHTTPError
from safetensors import SafetensorError, safe_open
from torch import nn

from hf_optical.errors import InputError, NonFiniteError

__all__ = ["LOAD_ERRORS", "check_model_folder", "check_weights", "first_line", "whole_weights"]

# Errors of damaged files; each reader has its own (tensors, shapes, tokenizers, modules).
LOAD_ERRORS = (
    OSError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ImportError,
    RuntimeError,
    SafetensorError,
    HfHubHTTPError,
)

_HOST = "sentence_transformers."
_PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json", "model.ckpt", "model.pt", "model.pth")
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
_TOKENIZERS = ("tokenizer.json", "vocab.*", "*.model", "*.tiktoken", "tekken.json")
_CONFIGURED = (".Transformer", ".Pooling", ".Dense")
_ENCODERS = (None, "SentenceTransformer", "MultiVectorEncoder", "ColBERT")
_SCORERS = ("ForSequenceClassification", "ForCausalLM", "ForTokenClassification", "ForQuestionAnswering")


def check_model_folder(folder: Path) -> None:
    """Raise an error if a local folder holds no encoder, or one that can only be loaded by running foreign code.

    Weights must be safetensors. Pickled weights are refused, even where torch could load them in its safe mode.

    Args:
        folder: The folder, as given by the user.

    Raises:
        InputError: It is not a folder, holds no model, pickled weights, modules of other packages or outside of the
            folder, or invalid JSON, or the model is a cross-encoder, classifier or sparse encoder.
    """
    if not folder.is_dir():
        raise InputError(
            "is a file, not a folder",
            "give a local folder that holds a sentence-transformers model, or a Hub id",
            path=folder,
        )
    modules_file, places = folder / "modules.json", [folder]
    if modules_file.is_file():
        places = [folder / path for path in _module_paths(modules_file)]
    elif not (folder / "config.json").is_file():
        raise InputError(
            "the folder has no model: neither modules.json nor config.json",
            "give a local folder that holds a sentence-transformers model, or a Hub id",
            path=folder,
        )
    kind = _json(folder / "config_sentence_transformers.json", dict).get("model_type")
    if kind not in _ENCODERS:
        raise InputError(
            f"the model is a {kind}, which has no vectors that can be distilled", "give a bi-encoder or "
                "late-interaction model",
            path=folder,
        )  # fmt: skip
    for place in places:
        _check_weight_files(place)
        config = _json(place / "config.json", dict)
        architecture = str((config.get("architectures") or [""])[0])
        if "model_type" in config and not any(found for name in _TOKENIZERS for found in place.glob(name)):
            raise InputError("the tokenizer is missing", "save the tokenizer beside the model", path=place)
        if not modules_file.is_file() and architecture.endswith(_SCORERS):
            raise InputError(
                f"a {architecture}, the class of cross-encoders and classifiers, which were not trained to return "
                f"vectors",
                "give a sentence-transformers model, or an encoder",
                path=folder,
            )


def check_weights(model: nn.Module, name: str) -> None:
    """Raise an error if a weight is NaN or infinite.

    Raises:
        NonFiniteError: A weight is not finite; the message names the first.
    """
    for key, value in model.state_dict().items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise NonFiniteError(
                f"{name}: the weight {key!r} is not finite (NaN or infinity). "
                "Remedy: download the model again, or use an earlier checkpoint."
            )


@contextmanager
def whole_weights(name: str) -> Iterator[None]:
    """Context that raises an error if a model is loaded from files without some of its weights, which would be random.

    The pooler may be missing, because encoders do not use it.

    Raises:
        InputError: Weights are missing; the message names them.
    """
    loader, ear = logging.getLogger("transformers.modeling_utils"), _Ear()
    level, passes_on = loader.level, loader.propagate
    if not loader.isEnabledFor(logging.WARNING):  # the user may have turned warnings off, but they must be read here
        loader.setLevel(logging.WARNING)
        loader.propagate = False
    loader.addHandler(ear)
    try:
        yield
    except RuntimeError:
        ear.check(name, "MISMATCH", "have shapes that differ from its configuration")
        raise
    finally:
        loader.removeHandler(ear)
        loader.setLevel(level)
        loader.propagate = passes_on
    ear.check(name, "MISSING", "are not in its files and would be random numbers")


class _Ear(logging.Handler):
    """Log handler that keeps the reports of transformers' loader."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += re.sub(r"\x1b\[[0-9;]*m", "", record.getMessage()) + "\n"

    def check(self, name: str, status: str, problem: str) -> None:
        named = re.findall(rf"^\s*(\S+)\s*\|\s*{status}\b", self.text, re.MULTILINE)
        found = [key for key in named if "pooler" not in key.split(".")]
        if found:
            listed = ", ".join(found[:5]) + (", ..." if len(found) > 5 else "")
            raise InputError(f"weights of the model {problem}: {listed}", "download or save it again", path=name)


def first_line(error: Exception) -> str:
    """Return an error's message in one line."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), "no message")[:200]


def _module_paths(file: Path) -> list[str]:
    found = []
    for module in _json(file, list):
        kind, path = (module.get("type"), module.get("path")) if isinstance(module, dict) else (None, None)
        if not isinstance(kind, str) or not isinstance(path, str):
            raise InputError(f"found {module!r:.80} where a module is expected", "save the model again", path=file)
        if not kind.startswith(_HOST):
            raise InputError(
                f"the module {kind!r} is not part of sentence-transformers and would need remote code, which is "
                f"never run",
                "give a model that has sentence-transformers' own modules only",
                path=file,
            )
        if not (file.parent / path).resolve().is_relative_to(file.parent.resolve()):
            raise InputError(f"the module {path!r} is outside of the folder", "save the model again", path=file)
        if kind.endswith(_CONFIGURED) and not (file.parent / path / "config.json").is_file():
            raise InputError("the file is missing", "save the model again", path=file.parent / path / "config.json")
        found.append(path)
    return found


def _check_weight_files(place: Path) -> None:
    pickled = [place / name for name in _PICKLED if (place / name).is_file()]
    if pickled and not any((place / name).is_file() for name in _WEIGHTS):
        raise InputError(
            "the weights are pickled, which can run code when they are loaded; only safetensors are read",
            "if you trust their origin, load and save them once: "
            "SentenceTransformer(FOLDER).save_pretrained(NEW_FOLDER)",
            path=pickled[0],
        )
    for path in place.glob("*.safetensors"):
        try:
            with safe_open(path, framework="pt"):
                pass
        except SafetensorError as error:
            problem = f"is not a complete safetensors file ({error})"
            raise InputError(problem, "download or save the model again", path=path) from None


def _json(file: Path, kind: type) -> Any:
    """Read a JSON file of a model; empty if there is none."""
    if not file.is_file():
        return kind()
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"invalid JSON ({error})", "download or save the model again", path=file) from None
    if not isinstance(found, kind):
        raise InputError(f"found a {type(found).__name__}, not a {kind.__name__}", "save the model again", path=file)
    return found
