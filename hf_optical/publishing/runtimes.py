"""Exported models run in place of the PyTorch models they were made from, and compared with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from hf_optical.errors import HFOpticalError, InputError, pip_install
from hf_optical.publishing.export import ONNX_FILE, OUTPUT, check_dense


@dataclass(frozen=True)
class Parity:
    """Difference between an exported model and its original.

    Attributes:
        texts: Number of texts compared.
        largest_difference: Largest absolute difference between two numbers of a vector.
        smallest_cosine: Smallest cosine between the two vectors of a text.
    """

    texts: int
    largest_difference: float
    smallest_cosine: float

    @classmethod
    def of(cls, a: np.ndarray, b: np.ndarray) -> Parity:
        """Compare two models' vectors of the same texts, both (texts, dimension), row by row.

        Example:
            >>> Parity.of(np.array([[1.0, 0.0]]), np.array([[0.5, 0.0]]))
            Parity(texts=1, largest_difference=0.5, smallest_cosine=1.0)
        """
        cosines = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
        return cls(len(a), float(np.abs(a - b).max()), float(cosines.min()))

    def check(self, tolerance: float = 1e-4) -> Parity:
        """Return the comparison itself, or raise an error if the models differ by more than the tolerance.

        Raises:
            HFOpticalError: A number of a vector differs by more than the tolerance.
        """
        if not self.largest_difference <= tolerance:
            raise HFOpticalError(
                f"the exported model differs by {self.largest_difference:.2g} (allowed: {tolerance:g}). "
                "Remedy: serve the model with PyTorch, and report the versions of PyTorch and of the runtime."
            )
        return self


def compare(folder: str | Path, exported: Any, texts: Sequence[str], *, batch_size: int = 32) -> Parity:
    """Compare an exported model with the PyTorch model it was made from.

    Args:
        folder: Folder of the PyTorch model.
        exported: The exported model, loaded by :func:`load_exported` or by a backend of sentence-transformers.
        texts: Queries that both models encode.
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
    return Parity.of(a, b)


def load_exported(folder: str | Path, file: str = ONNX_FILE, *, threads: int | None = None) -> Any:
    """Load an exported model as a ``SentenceTransformer`` whose transformer is computed by the runtime.

    Tokenizer, pooling and normalisation are those of sentence-transformers. This is for tests, measurements and
    processes that have PyTorch anyway; it does not need optimum. A server without PyTorch runs the same file with the
    runtime and does its own pooling, or uses a backend of sentence-transformers.

    Args:
        folder: Folder that :func:`~hf_optical.publishing.export.export` wrote.
        file: ``onnx/model.onnx``, an int8 file, or ``openvino/openvino_model.xml``.
        threads: Threads of the runtime; ``None`` for its default.

    Returns:
        The model, which cannot be trained or saved.

    Raises:
        InputError: There is no such file, it is not an exported model, or its runtime is not installed.
    """
    from hf_optical.encoders.models import load_encoder

    path = Path(folder) / file
    if not path.is_file():
        found = sorted(str(each.relative_to(folder)) for each in Path(folder).glob("*/*") if each.suffix in _RUNTIMES)
        problem = f"the file does not exist; found {', '.join(found) or 'no exported file'}"
        raise InputError(problem, "export it first", path=path)
    if path.suffix not in _RUNTIMES:
        remedy = f"give a file that ends in {' or '.join(_RUNTIMES)}"
        raise InputError("the file is not an exported model", remedy, path=path)
    check_dense(folder)
    model: Any = load_encoder(str(folder), device="cpu")
    model[0].model = _RuntimeBody(model[0].model.config, _RUNTIMES[path.suffix](path, threads))
    return model


class _RuntimeBody(nn.Module):
    """Transformer that is computed by another runtime."""

    def __init__(self, config: Any, session: Any) -> None:
        super().__init__()
        self.config, self.session = config, session

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None = None,
        **_: Any,
    ) -> dict[str, torch.Tensor]:
        """Return the token vectors, (batch, tokens, dimension), for ids and mask of shape (batch, tokens)."""
        given = {"input_ids": input_ids, "attention_mask": attention_mask, "token_type_ids": token_type_ids}
        made = self.session({name: value.numpy() for name, value in given.items() if value is not None})
        return {OUTPUT: torch.from_numpy(made)}


class _OnnxSession:
    """Model in ONNX Runtime on the CPU, called with NumPy inputs by name."""

    def __init__(self, path: Path, threads: int | None) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise InputError("onnxruntime is not installed", pip_install("onnx"), path=path) from error
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors only
        if threads:
            options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.names = {each.name for each in self.session.get_inputs()}

    def __call__(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        given = {name: value for name, value in inputs.items() if name in self.names}
        return self.session.run([OUTPUT], given)[0]


class _OpenVinoSession:
    """Model in OpenVINO on the CPU in 32-bit floats, called with NumPy inputs by name."""

    def __init__(self, path: Path, threads: int | None) -> None:
        try:
            import openvino
        except ImportError as error:
            raise InputError("openvino is not installed", pip_install("openvino"), path=path) from error
        # By default OpenVINO computes in bfloat16 on processors that support it, with differences of 1e-2.
        options: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"}
        if threads:
            options["INFERENCE_NUM_THREADS"] = threads
        self.model = openvino.Core().compile_model(str(path), "CPU", options)
        self.names = {name for port in self.model.inputs for name in port.get_names()}

    def __call__(self, inputs: dict[str, np.ndarray]) -> np.ndarray:
        # Copy the output, because the runtime writes the next one into the same buffer.
        return np.array(self.model({name: value for name, value in inputs.items() if name in self.names})[OUTPUT])


_RUNTIMES: dict[str, Any] = {".onnx": _OnnxSession, ".xml": _OpenVinoSession}
