"""Exported students, measured: difference from PyTorch, nDCG@10 before and after, sentences per second on the CPU.

``python benchmarks/export.py --model S --teacher T --eval ../shared/data/eval/ntrex_passage``. Needs an environment
with ``sentence-transformers[onnx]`` or ``[openvino]``.
"""

from __future__ import annotations

import json
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sentence_transformers import SentenceTransformer

from hf_optical.configuration import run
from hf_optical.data.retrieval import read_retrieval_set
from hf_optical.evaluation.document_cache import DocumentCache
from hf_optical.evaluation.retrieval import evaluate_retrieval
from hf_optical.models import load_encoder
from hf_optical.publishing.export import compare, export
from hf_optical.results import write_json


@dataclass
class ExportBenchmark:
    """Options."""

    model: str = field(metadata={"help": "Folder of a dense student."})
    teacher: str = field(metadata={"help": "Made the index."})
    eval: str = field(metadata={"help": "Folder of a retrieval set."})
    language: str = field(default="swh_Latn", metadata={"help": "Of the queries."})
    backends: list[str] = field(default_factory=lambda: ["onnx"], metadata={"help": "onnx, openvino."})
    int8: str = field(default="avx2", metadata={"help": "Processor that int8 is written for."})
    repeats: int = field(default=5, metadata={"help": "Timed passes; the median counts."})
    output: str | None = field(default=None, metadata={"help": "Write the figures into this JSON file."})


def main(config: ExportBenchmark) -> None:
    """Export, compare, score, time."""
    item = read_retrieval_set(config.eval, config.language)
    teacher, cache, texts = load_encoder(config.teacher, device="cpu"), DocumentCache(), list(item.queries.values())
    results: dict[str, Any] = {}

    def measure(name: str, model: Any) -> None:
        scores = evaluate_retrieval(model, item, teacher, document_cache=cache)  # type: ignore[arg-type]
        parity = compare(config.model, model, texts)
        results[name] = {
            "ndcg@10": scores.metrics["ndcg@10"],
            "largest_difference": parity.largest_difference,
            "smallest_cosine": parity.smallest_cosine,
            "sentences_per_second": len(texts) / _seconds(model, texts, config.repeats),
        }

    measure("torch", SentenceTransformer(config.model, device="cpu"))
    with TemporaryDirectory() as folder:
        for backend in config.backends:
            quantize = config.int8 if backend == "onnx" else None
            place = str(export(config.model, Path(folder) / backend, backend, int8=quantize))  # type: ignore[arg-type]
            options: dict[str, Any] = {"backend": backend, "device": "cpu"}
            measure(backend, SentenceTransformer(place, **options))
            if quantize:
                file = {"file_name": f"onnx/model_qint8_{quantize}.onnx"}
                measure(f"{backend} int8", SentenceTransformer(place, model_kwargs=file, **options))
    print(json.dumps(results, indent=1))
    if config.output:
        write_json(Path(config.output), results)


def _seconds(model: Any, texts: list[str], repeats: int) -> float:
    model.encode_query(texts)
    spent = []
    for _ in range(repeats):
        started = time.perf_counter()
        model.encode_query(texts)
        spent.append(time.perf_counter() - started)
    return statistics.median(spent)


if __name__ == "__main__":
    run(main, ExportBenchmark)
