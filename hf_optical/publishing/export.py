"""Dense students for servers without PyTorch: ONNX, ONNX in int8, OpenVINO, with the usual file names.

The layout is that of sentence-transformers' backends: ``onnx/model.onnx``, ``onnx/model_qint8_<processor>.onnx``,
``openvino/openvino_model.xml``, beside the model. The files are written with PyTorch's exporter and the runtimes' own
tools: optimum, which those backends use, asks for an older transformers than this package (optimum-onnx 0.1: below
4.58), and is needed only where the files are loaded through them.
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

from hf_optical.errors import HFOpticalError, InputError
from hf_optical.publishing.layout import name_modules

Backend = Literal["onnx", "openvino"]

ONNX_FILE = "onnx/model.onnx"
OPENVINO_FILE = "openvino/openvino_model.xml"
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
OUTPUT = "last_hidden_state"

_NEEDED = {"onnx": ("onnx", "onnxscript", "onnxruntime"), "openvino": ("onnx", "onnxscript", "openvino")}
_ONE_FILE = 1_900_000_000  # bytes of weights; a protobuf ends at 2 GiB, and the rest goes into a file beside it

# The weights' types are those of optimum's AutoQuantizationConfig, after which sentence-transformers names the files.
# Second, whether weights give up a bit: without VNNI, pairs of products of signed ones overflow the 16 bits they get.
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
    """Write a dense model for other runtimes.

    Args:
        folder: A dense sentence-transformers model.
        target: Folder for the model with the exported files in it; the same as ``folder`` adds them there.
        backend: ``"onnx"`` or ``"openvino"`` (extras ``onnx``, ``openvino``), or both.
        int8: ONNX only: also write weights in int8 for a processor, or several: ``"avx2"``, ``"avx512"``,
            ``"avx512_vnni"``, ``"arm64"``.
        adapter: A language adapter to merge first: a code such as ``"swh_Latn"``, looked for in ``folder/adapters``, or
            its folder. One file then reads one language; a server needs no LoRA.

    Returns:
        The target. ``SentenceTransformer(target, backend="onnx")`` loads it where optimum is installed,
        :func:`~hf_optical.publishing.runtimes.load_exported` where it is not.

    Raises:
        InputError: A runtime is not installed, the model is not dense or has adapters in its weights, an option is
            unknown.
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
                path.replace(target / part / path.name)  # whole files only, also after a kill
    return target


def _lay_model(folder: Path, target: Path, adapter: str | Path | None) -> None:
    """The model itself, in the target: as it is, or with an adapter merged."""
    same = target.resolve() == folder.resolve()
    if adapter is not None:
        if same:
            raise InputError("the merged model would replace its base", "give another target", path=target)
        merge_adapter(folder, adapter_folder(folder, adapter), target)
    elif not same:
        shutil.copytree(folder, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("adapters"))
    name_modules(target)


def int8_file(processor: str) -> str:
    """The file that int8 weights for a processor are in, as sentence-transformers names it.

    Args:
        processor: ``"avx2"``, ``"avx512"``, ``"avx512_vnni"`` or ``"arm64"``.

    Raises:
        InputError: No such processor.

    Example:
        >>> int8_file("avx512_vnni"), int8_file("avx2")
        ('onnx/model_qint8_avx512_vnni.onnx', 'onnx/model_quint8_avx2.onnx')
    """
    if processor not in _INT8:
        raise InputError(f"is {processor!r}", f"use one of {', '.join(_INT8)}", field="int8")
    return f"onnx/model_{_INT8[processor][0]}_{processor}.onnx"


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
                f"{module} is not installed, and {backend} needs it ({error})", f"pip install 'hf-optical[{backend}]'"
            ) from error


def check_dense(folder: str | Path) -> None:
    """Refuse what the exported files cannot hold.

    Raises:
        InputError: A late-interaction model, or one whose weights are adapters of another.
    """
    from hf_optical.encoders.models import names_late_interaction

    if names_late_interaction(str(folder)):
        raise InputError("is a late-interaction model", "export dense models; serve this one with PyTorch", path=folder)
    if (Path(folder) / "adapter_config.json").is_file():
        raise InputError("its weights are adapters of another model", "merge them first (merge_adapter)", path=folder)


def adapter_folder(folder: str | Path, adapter: str | Path) -> Path:
    """The folder of a language adapter: by its code, or as it is given."""
    from hf_optical.data.languages import normalize

    if Path(adapter).is_dir():
        return Path(adapter)
    return Path(folder) / "adapters" / normalize(str(adapter))


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

    from hf_optical.encoders.models import load_encoder, save_whole

    if not (Path(adapter) / "adapter_config.json").is_file():
        raise InputError("holds no adapter", "give a folder such as adapters/swh_Latn", path=adapter)
    model: Any = load_encoder(str(folder), device="cpu")
    merged: Any = PeftModel.from_pretrained(model.transformers_model, str(adapter)).merge_and_unload()
    model[0].model = merged
    save_whole(model, target)
    return Path(target)


class _Body(nn.Module):
    """A transformer with the names of inputs and outputs that the runtimes expect."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        token_type_ids: torch.Tensor | None = None,
    ) -> torch.Tensor:
        more = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        return self.model(input_ids=input_ids, attention_mask=attention_mask, return_dict=True, **more)[OUTPUT]


def _write_onnx(folder: Path, file: Path) -> None:
    from hf_optical.encoders.models import load_encoder
    from hf_optical.encoders.parts import tokenizer_of, transformer_of

    module = transformer_of(load_encoder(str(folder), device="cpu"))  # type: ignore[arg-type]
    known = set(inspect.signature(module.model.forward).parameters) & set(tokenizer_of(module).model_input_names)
    names = [name for name in INPUTS if name in known]
    body = _Body(module.model).eval()
    # Two rows of different lengths, so that the exporter sees a mask that hides something.
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

    # The core reads ONNX itself: openvino.convert_model does the same and reports that it was called.
    openvino.save_model(openvino.Core().read_model(str(whole)), str(file), compress_to_fp16=False)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporters' advice to their own developers."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
