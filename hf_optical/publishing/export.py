"""Dense students for servers without PyTorch: ONNX, ONNX in int8, OpenVINO, through sentence-transformers' backends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from hf_optical.errors import HFOpticalError, InputError

Backend = Literal["onnx", "openvino"]

_EXTRAS = {"onnx": "sentence-transformers[onnx]", "openvino": "sentence-transformers[openvino]"}
_NEEDED = {"onnx": ("onnxruntime", "optimum.onnxruntime"), "openvino": ("openvino", "optimum.intel")}


@dataclass(frozen=True)
class Parity:
    """How far an exported model is from the one it was made of.

    Attributes:
        texts: How many were compared.
        largest_difference: Of two numbers of a vector.
        smallest_cosine: Of two vectors of one text.
    """

    texts: int
    largest_difference: float
    smallest_cosine: float

    def check(self, tolerance: float = 1e-4) -> Parity:
        """Return itself, or raise where a number differs by more than the tolerance.

        Raises:
            HFOpticalError: It does.
        """
        if not self.largest_difference <= tolerance:
            raise HFOpticalError(
                f"the exported model differs by {self.largest_difference:.2g} (allowed: {tolerance:g}). "
                "Remedy: serve the model with PyTorch, and report the versions of optimum and of the runtime."
            )
        return self


def export(folder: str | Path, target: str | Path, backend: Backend = "onnx", *, int8: str | None = None) -> Path:
    """Write a dense model for another runtime.

    Args:
        folder: A dense sentence-transformers model. Language adapters are merged first: a server without LoRA reads one
            file.
        target: Folder for the exported model; ``SentenceTransformer(target, backend=...)`` loads it.
        backend: ``"onnx"`` or ``"openvino"``.
        int8: ONNX only: also write weights in int8 for a processor: ``"avx2"``, ``"avx512"``, ``"avx512_vnni"``,
            ``"arm64"``.

    Returns:
        The folder.

    Raises:
        InputError: The runtime is not installed, the model is not dense, or int8 is asked of OpenVINO.
    """
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.backend import export_dynamic_quantized_onnx_model

    require_backend(backend)
    if int8 and backend != "onnx":
        raise InputError(f"int8 is written for ONNX only, and the backend is {backend}", "leave int8 out", field="int8")
    check_dense(folder)
    options: dict[str, Any] = {"backend": backend, "model_kwargs": {"export": True}, "device": "cpu"}
    model = SentenceTransformer(str(folder), **options)
    model.save_pretrained(str(target))
    if int8:
        export_dynamic_quantized_onnx_model(model, int8, str(target))  # type: ignore[arg-type]
    return Path(target)


def compare(folder: str | Path, exported: Any, texts: Sequence[str], *, batch_size: int = 32) -> Parity:
    """Compare an exported model with the one it was made of.

    Args:
        folder: The PyTorch model.
        exported: The exported one, loaded.
        texts: Queries.
        batch_size: Texts per forward pass.

    Returns:
        The comparison.

    Raises:
        InputError: There are no texts.
    """
    from sentence_transformers import SentenceTransformer

    if not texts:
        raise InputError("there are no texts to compare on", "give some queries", field="texts")
    whole = SentenceTransformer(str(folder), device="cpu")
    a, b = (np.asarray(model.encode_query(list(texts), batch_size=batch_size)) for model in (whole, exported))
    cosines = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return Parity(len(texts), float(np.abs(a - b).max()), float(cosines.min()))


def require_backend(backend: str) -> None:
    """Stop early where a runtime is missing, with what to install.

    Raises:
        InputError: It is missing, or there is no such backend.
    """
    from importlib import import_module

    if backend not in _NEEDED:
        raise InputError(f"is {backend!r}", f"use one of {', '.join(_NEEDED)}", field="backend")
    for module in _NEEDED[backend]:
        try:
            import_module(module)
        except ImportError as error:
            raise InputError(
                f"the {backend} backend of sentence-transformers is not installed ({error})",
                f"in an environment of its own: pip install '{_EXTRAS[backend]}'; optimum may ask for an older "
                "transformers than training does",
            ) from error


def check_dense(folder: str | Path) -> None:
    """Refuse what the backends cannot take.

    Raises:
        InputError: A late-interaction model.
    """
    from hf_optical.models import _is_late_interaction

    if _is_late_interaction(str(folder)):
        raise InputError("is a late-interaction model", "export dense models; serve this one with PyTorch", path=folder)


def merge_adapter(folder: str | Path, adapter: str | Path, target: str | Path) -> Path:
    """Write a model with one language adapter merged into its weights.

    Args:
        folder: The base.
        adapter: Folder with ``adapter_config.json`` and ``adapter_model.safetensors``.
        target: Folder for the merged model.

    Returns:
        The folder: an ordinary model without adapters.

    Raises:
        InputError: There is no adapter there.
    """
    from peft import PeftModel

    from hf_optical.models import load_encoder, save_whole

    if not (Path(adapter) / "adapter_config.json").is_file():
        raise InputError("holds no adapter", "give a folder such as adapters/swh_Latn", path=adapter)
    model: Any = load_encoder(str(folder), device="cpu")
    merged: Any = PeftModel.from_pretrained(model.transformers_model, str(adapter)).merge_and_unload()
    model[0].model = merged
    save_whole(model, target)
    return Path(target)
