"""Options of ``hf-optical export``."""

from __future__ import annotations

from dataclasses import dataclass

from hf_optical.configuration.fields import option


@dataclass
class ExportConfig:
    """Write a dense student for servers without PyTorch, and check it against PyTorch."""

    model: str = option(text="Folder of a dense model.", path=True)
    output_dir: str = option(text="Folder for the model with the exported files in it.", path=True)
    backends: list[str] = option(["onnx"], "onnx, openvino, or both.")
    int8: list[str] = option([], "Also export int8 for these processors: avx2, avx512, avx512_vnni, arm64 (ONNX).")
    adapter: str | None = option(None, "Merge this language's adapter first: its code, or its folder.", path=True)
    texts: str | None = option(
        None, "Queries to compare on (.txt or a table); three sentences if not given.", path=True
    )
    text_fields: list[str] = option(["text"], "Columns of text in --texts, where it is a table.")
    tolerance: float = option(
        1e-4, "Largest difference from PyTorch allowed in any number of a vector; not checked for int8."
    )
