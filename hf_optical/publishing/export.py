"""Export of dense students to ONNX, ONNX in int8 and OpenVINO, for servers without PyTorch.

File names are those of sentence-transformers' backends: ``onnx/model.onnx``, ``onnx/model_qint8_<processor>.onnx`` and
``openvino/openvino_model.xml``, beside the model. The files are written with PyTorch's exporter and the runtimes' own
tools. The backends themselves use optimum, which requires an older transformers than this package (optimum-onnx 0.1:
below 4.58); it is needed only where the files are loaded through the backends.
"""

from __future__ import annotations

import inspect
import logging
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import torch
from torch import nn

from hf_optical.errors import HFOpticalError, InputError, pip_install
from hf_optical.publishing.layout import name_modules

Backend = Literal["onnx", "openvino"]

ONNX_FILE = "onnx/model.onnx"
OPENVINO_FILE = "openvino/openvino_model.xml"
_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
OUTPUT = "last_hidden_state"

_NEEDED = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "openvino": ("onnx", "onnxscript", "openvino")}
# Bytes of weights above which they go into a second file: a protobuf file holds 2 GiB at most.
_ONE_FILE = 1_900_000_000

# Type of the weights and `reduce_range` by processor. The types are those of optimum's AutoQuantizationConfig, after
# which sentence-transformers names the files. A reduced range uses 7 of 8 bits: without VNNI instructions the sum of
# two products of signed weights can overflow its 16 bits.
_INT8 = {
    "arm64": ("qint8", False),
    "avx2": ("quint8", False),
    "avx512": ("qint8", True),
    "avx512_vnni": ("qint8", False),
}


def export(
    folder: str | Path,
    target: str | Path,
    backend: Backend | Sequence[Backend] = "onnx",
    *,
    int8: str | Sequence[str] | None = None,
    adapter: str | Path | None = None,
) -> Path:
    """Export a dense model to other runtimes.

    Args:
        folder: Folder of a dense sentence-transformers model.
        target: Folder for the model and the exported files; if it is ``folder``, the files are added there.
        backend: ``"onnx"`` or ``"openvino"`` (extras ``onnx``, ``openvino``), or both.
        int8: Processor, or several, for which an ONNX file with int8 weights is written too: ``"avx2"``, ``"avx512"``,
            ``"avx512_vnni"``, ``"arm64"``.
        adapter: Language adapter to merge first: its folder, or a language code such as ``"swh_Latn"``, which is
            looked up in ``folder/adapters``. The exported file then serves this one language and needs no LoRA.

    Returns:
        The target. ``SentenceTransformer(target, backend="onnx")`` loads it where optimum is installed,
        :func:`~hf_optical.publishing.runtimes.load_exported` where it is not.

    Raises:
        InputError: A runtime is not installed, the model is not dense, its weights are adapters of another model, or
            an option is unknown.
        HFOpticalError: PyTorch could not export the model.

    Example:
        .. code-block:: python

            place = export("outputs/swahili/model", "exported", "onnx", int8="avx512_vnni")
            compare("outputs/swahili/model", load_exported(place), queries).check(1e-4)
            small = load_exported(place, int8_file("avx512_vnni"))
    """
    backends = [backend] if isinstance(backend, str) else list(backend)
    for name in backends:
        require_backend(name)
    if int8 and "onnx" not in backends:
        problem = f"int8 is written for ONNX only, and the backend is {', '.join(backends)}"
        raise InputError(problem, "leave int8 out, or add onnx", field="int8")
    processors = [int8] if isinstance(int8, str) else list(int8 or ())
    files = {processor: int8_file(processor) for processor in processors}
    check_dense(folder)
    target = Path(target)
    _lay_model(Path(folder), target, adapter)
    with TemporaryDirectory(dir=target, prefix=".exporting-") as hidden:
        scratch = Path(hidden)
        for part in ("onnx", "openvino"):
            (scratch / part).mkdir()
        _write_onnx(target, scratch / ONNX_FILE)
        for processor, file in files.items():
            _write_int8(scratch / ONNX_FILE, scratch / file, processor)
        if "openvino" in backends:
            _write_openvino(scratch / ONNX_FILE, scratch / OPENVINO_FILE)
        for part in backends:
            (target / part).mkdir(exist_ok=True)
            for path in sorted((scratch / part).iterdir()):
                path.replace(target / part / path.name)  # atomic, so that a killed process leaves no partial file
    return target


def _lay_model(folder: Path, target: Path, adapter: str | Path | None) -> None:
    """Write the model itself into the target, with the adapter merged if there is one."""
    same = target.resolve() == folder.resolve()
    if adapter is not None:
        if same:
            raise InputError("the merged model would replace its base", "give another target", path=target)
        merge_adapter(folder, adapter_folder(folder, adapter), target)
    elif not same:
        shutil.copytree(folder, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("adapters"))
    name_modules(target)


def int8_file(processor: str) -> str:
    """Return the name of the file with int8 weights for a processor, as sentence-transformers names it.

    Args:
        processor: ``"avx2"``, ``"avx512"``, ``"avx512_vnni"`` or ``"arm64"``.

    Raises:
        InputError: The processor is unknown.

    Example:
        >>> int8_file("avx512_vnni"), int8_file("avx2")
        ('onnx/model_qint8_avx512_vnni.onnx', 'onnx/model_quint8_avx2.onnx')
    """
    if processor not in _INT8:
        raise InputError(f"is {processor!r}", f"use one of {', '.join(_INT8)}", field="int8")
    return f"onnx/model_{_INT8[processor][0]}_{processor}.onnx"


def require_backend(backend: str) -> None:
    """Check that the packages of a backend are installed.

    Raises:
        InputError: A package is missing (the message names the extra to install), or the backend is unknown.
    """
    from importlib import import_module

    if backend not in _NEEDED:
        raise InputError(f"is {backend!r}", f"use one of {', '.join(_NEEDED)}", field="backend")
    for module in _NEEDED[backend]:
        try:
            import_module(module)
        except ImportError as error:
            raise InputError(
                f"{module} is not installed, and {backend} needs it ({error})", pip_install(backend)
            ) from error


def check_dense(folder: str | Path) -> None:
    """Raise an error for a model that exported files cannot represent.

    Raises:
        InputError: The model is a late-interaction model, or its weights are adapters of another model.
    """
    from hf_optical.encoders.models import names_late_interaction

    if names_late_interaction(str(folder)):
        problem = "this is a late-interaction model, and only dense models can be exported"
        raise InputError(problem, "serve it with PyTorch", path=folder)
    if (Path(folder) / "adapter_config.json").is_file():
        raise InputError("the weights are adapters of another model", "merge them first (merge_adapter)", path=folder)


def adapter_folder(folder: str | Path, adapter: str | Path) -> Path:
    """Return the folder of a language adapter.

    Args:
        folder: Folder of the model, which has its adapters in ``adapters/<code>``.
        adapter: A language code, or the folder of an adapter.
    """
    from hf_optical.data.languages import normalize

    if Path(adapter).is_dir():
        return Path(adapter)
    return Path(folder) / "adapters" / normalize(str(adapter))


def merge_adapter(folder: str | Path, adapter: str | Path, target: str | Path) -> Path:
    """Merge one language adapter into the weights of its base model, and save the result.

    Args:
        folder: Folder of the base model.
        adapter: Folder with ``adapter_config.json`` and ``adapter_model.safetensors``.
        target: Folder for the merged model.

    Returns:
        The target, which holds an ordinary model without adapters.

    Raises:
        InputError: The adapter's folder holds no adapter.
    """
    from peft import PeftModel

    from hf_optical.encoders.models import load_encoder, save_whole

    if not (Path(adapter) / "adapter_config.json").is_file():
        raise InputError("the folder holds no adapter", "give a folder such as adapters/swh_Latn", path=adapter)
    model: Any = load_encoder(str(folder), device="cpu")
    merged: Any = PeftModel.from_pretrained(model.transformers_model, str(adapter)).merge_and_unload()
    model[0].model = merged
    save_whole(model, target)
    return Path(target)


class _Body(nn.Module):
    """Transformer with the names of inputs and outputs that the runtimes expect."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Return the token vectors, (batch, tokens, dimension), for ids and mask of shape (batch, tokens)."""
        more = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        return self.model(input_ids=input_ids, attention_mask=attention_mask, return_dict=True, **more)[OUTPUT]


def _write_onnx(folder: Path, file: Path) -> None:
    from hf_optical.encoders.models import load_encoder
    from hf_optical.encoders.parts import tokenizer_of, transformer_of

    module = transformer_of(load_encoder(str(folder), device="cpu"))  # type: ignore[arg-type]
    known = set(inspect.signature(module.model.forward).parameters) & set(tokenizer_of(module).model_input_names)
    names = [name for name in _INPUTS if name in known]
    body = _Body(module.model).eval()
    # Two rows of different lengths, so that the exporter sees a mask with zeros.
    made = tokenizer_of(module)(["a b c d", "a"], padding=True, return_tensors="pt")
    arguments = tuple(made[name] for name in names)
    batch, sequence = torch.export.Dim("batch_size"), torch.export.Dim("sequence_length")
    size = sum(parameter.numel() * parameter.element_size() for parameter in body.parameters())
    try:
        with torch.no_grad(), _quiet():
            torch.onnx.export(
                body,
                arguments,
                str(file),
                input_names=names,
                output_names=[OUTPUT],
                dynamic_shapes=[{0: batch, 1: sequence}] * len(names),  # type: ignore[arg-type]
                dynamo=True,
                external_data=size > _ONE_FILE,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        raise HFOpticalError(
            f"{folder}: PyTorch could not export this {type(module.model).__name__} to ONNX ({str(error)[:300]}). "
            "Remedy: serve the model with PyTorch, or report the architecture."
        ) from error


def _write_int8(whole: Path, file: Path, processor: str) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    kind, reduce_range = _INT8[processor]
    with _quiet():
        quantize_dynamic(
            whole,
            file,
            per_channel=True,
            reduce_range=reduce_range,
            weight_type=QuantType.QUInt8 if kind == "quint8" else QuantType.QInt8,
        )


def _write_openvino(whole: Path, file: Path) -> None:
    import openvino

    # The core reads ONNX itself; openvino.convert_model would do the same and send telemetry about the call.
    openvino.save_model(openvino.Core().read_model(str(whole)), str(file), compress_to_fp16=False)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence warnings of the exporters, which address their developers."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
