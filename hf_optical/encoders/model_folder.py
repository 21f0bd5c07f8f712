"""Checks of a model folder before a host library loads it: missing, unsafe or inconsistent files."""

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

# Damaged files: each of the readers has errors of its own (tensors, shapes, tokenizers, modules).
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
    """Stop if a local folder holds no encoder, or one that could only be loaded by running foreign code.

    Weights must be safetensors: pickled ones are refused, also where the host could read them in its safe mode.

    Args:
        folder: The folder, as given by the user.

    Raises:
        InputError: Not a folder, no model, pickled weights, modules of other packages or outside of the folder, files
            that are no JSON, a cross-encoder, classifier or sparse encoder.
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
            "no model is there: neither modules.json nor config.json",
            "give a local folder that holds a sentence-transformers model, or a Hub id",
            path=folder,
        )
    kind = _json(folder / "config_sentence_transformers.json", dict).get("model_type")
    if kind not in _ENCODERS:
        raise InputError(
            f"a {kind}: it gives no vectors that can be distilled", "give a bi-encoder or late-interaction model",
            path=folder,
        )  # fmt: skip
    for place in places:
        _check_weight_files(place)
        config = _json(place / "config.json", dict)
        architecture = str((config.get("architectures") or [""])[0])
        if "model_type" in config and not any(found for name in _TOKENIZERS for found in place.glob(name)):
            raise InputError("there is no tokenizer", "save the tokenizer beside the model", path=place)
        if not modules_file.is_file() and architecture.endswith(_SCORERS):
            raise InputError(
                f"a {architecture}, such as cross-encoders and classifiers are: it was not trained to give vectors",
                "give a sentence-transformers model, or an encoder",
                path=folder,
            )


def check_weights(model: nn.Module, name: str) -> None:
    """Stop if a weight is NaN or infinite.

    Raises:
        NonFiniteError: Names the first such weight.
    """
    for key, value in model.state_dict().items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise NonFiniteError(
                f"{name}: the weight {key!r} is not finite (NaN or infinity). "
                "Remedy: download the model again, or take a checkpoint from before it broke."
            )


@contextmanager
def whole_weights(name: str) -> Iterator[None]:
    """Stop where a model is loaded from files that lack some of its weights, which would then be random numbers.

    A pooler, which encoders do not use, may be missing.

    Raises:
        InputError: Names the weights.
    """
    loader, ear = logging.getLogger("transformers.modeling_utils"), _Ear()
    level, passes_on = loader.level, loader.propagate
    if not loader.isEnabledFor(logging.WARNING):  # who wants no warnings shall see none; we must hear them all the same
        loader.setLevel(logging.WARNING)
        loader.propagate = False
    loader.addHandler(ear)
    try:
        yield
    except RuntimeError:
        ear.check(name, "MISMATCH", "have other shapes than its configuration says")
        raise
    finally:
        loader.removeHandler(ear)
        loader.setLevel(level)
        loader.propagate = passes_on
    ear.check(name, "MISSING", "are not in its files and would be random numbers")


class _Ear(logging.Handler):
    """Keeps the reports of transformers' loader."""

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
                f"the module {kind!r} is not sentence-transformers' own and would need remote code, which is never run",
                "give a model of its own modules only",
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
            "load them once where you trust their origin, and save them: "
            "SentenceTransformer(FOLDER).save_pretrained(NEW_FOLDER)",
            path=pickled[0],
        )
    for path in place.glob("*.safetensors"):
        try:
            with safe_open(path, framework="pt"):
                pass
        except SafetensorError as error:
            problem = f"is no whole safetensors file ({error})"
            raise InputError(problem, "download or save the model again", path=path) from None


def _json(file: Path, kind: type) -> Any:
    """A JSON file of a model; empty where there is none."""
    if not file.is_file():
        return kind()
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"invalid JSON ({error})", "download or save the model again", path=file) from None
    if not isinstance(found, kind):
        raise InputError(f"found a {type(found).__name__}, not a {kind.__name__}", "save the model again", path=file)
    return found
