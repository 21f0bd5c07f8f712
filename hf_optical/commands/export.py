"""Write a dense student for servers without PyTorch: ONNX, ONNX in int8, OpenVINO; checked against PyTorch.

``hf-optical export --model outputs/swahili/model --output_dir exported --backends onnx openvino --int8 avx2``. With
``--adapter swh_Latn`` one language's adapter is merged first. The folder is a complete model with the exported files in
it: ``SentenceTransformer("exported", backend="onnx")`` loads it if optimum is installed.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from hf_optical.commands.options.export import ExportConfig
from hf_optical.places import holding_output
from hf_optical.publishing.export import ONNX_FILE, OPENVINO_FILE, adapter_folder, export, int8_file, merge_adapter
from hf_optical.publishing.runtimes import compare, load_exported
from hf_optical.publishing.samples import read_sample

_TEXTS = ["What is the capital?", "The goat sleeps under a tree near the river.", "one two three four five six seven"]


@holding_output
def main(config: ExportConfig) -> None:
    """Export the model, compare it with PyTorch and print the files."""
    place = export(
        config.model,
        config.output_dir,
        config.backends,  # type: ignore[arg-type]
        int8=config.int8,
        adapter=config.adapter,
    )
    texts = read_sample(config.texts, config.text_fields) if config.texts else _TEXTS
    whole = {name: file for name, file in (("onnx", ONNX_FILE), ("openvino", OPENVINO_FILE)) if name in config.backends}
    with TemporaryDirectory() as scratch:
        reference = Path(config.model)
        if config.adapter is not None:
            reference = merge_adapter(reference, adapter_folder(reference, config.adapter), Path(scratch) / "merged")
        for file in [*whole.values(), *map(int8_file, config.int8)]:
            parity = compare(reference, load_exported(place, file), texts)
            if file in whole.values():
                parity.check(config.tolerance)
            print(
                f"{place / file}: {(place / file).stat().st_size / 1e6:,.1f} MB; {parity.texts} texts, largest "
                f"difference {parity.largest_difference:.1e}, smallest cosine {parity.smallest_cosine:.4f}"
            )
