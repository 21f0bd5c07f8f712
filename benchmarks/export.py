"""Exported students, measured: difference from PyTorch, nDCG@10 before and after, speed on the processor.

``python benchmarks/export.py --model S --teacher T --eval ../shared/data/eval/ntrex_bitext``. Needs the extras ``onnx``
and ``openvino``. One thread; the runtimes take turns, and the time is that of the processor, which a busy machine
disturbs least. The queries are read one by one, as a server does, and in batches.
"""

from __future__ import annotations

import json
import platform
import statistics
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from sentence_transformers import SentenceTransformer

from hf_optical.configuration.parsing import run
from hf_optical.data.retrieval import read_retrieval_set
from hf_optical.encoders.encoding import encode_texts
from hf_optical.encoders.models import load_encoder
from hf_optical.evaluation.retrieval import RetrievalScores, as_run, scores_of_run
from hf_optical.evaluation.search import search_dense
from hf_optical.evaluation.significance import compare
from hf_optical.publishing.export import ONNX_FILE, OPENVINO_FILE, export, int8_file
from hf_optical.publishing.runtimes import Parity, load_exported
from hf_optical.results.files import write_json

_TORCH = "torch"
_PACKAGES = ("torch", "transformers", "sentence-transformers", "onnx", "onnxscript", "onnxruntime", "openvino")


@dataclass
class ExportBenchmark:
    """Options."""

    model: str = field(metadata={"help": "Folder of a dense student.", "path": True})
    teacher: str = field(metadata={"help": "Made the index.", "path": True})
    eval: str = field(
        default="../shared/data/eval/ntrex_bitext", metadata={"help": "Folder of a retrieval set.", "path": True}
    )
    language: str = field(default="swh_Latn", metadata={"help": "Of the queries."})
    int8: list[str] = field(default_factory=lambda: ["avx512_vnni", "avx2"], metadata={"help": "For these."})
    repeats: int = field(default=5, metadata={"help": "Timed passes of each; the medians count."})
    timed: int = field(default=48, metadata={"help": "Queries in a pass."})
    output: str | None = field(default=None, metadata={"help": "Write the figures into this JSON file.", "path": True})


def main(config: ExportBenchmark) -> None:
    """Export, compare, score, time."""
    torch.set_num_threads(1)
    item = read_retrieval_set(config.eval, config.language)
    texts = list(item.queries.values())
    teacher: Any = load_encoder(config.teacher, device="cpu")
    documents: Any = encode_texts(teacher, list(item.corpus.values()), "document")
    with TemporaryDirectory() as folder:
        started = time.process_time()
        export(config.model, folder, ("onnx", "openvino"), int8=config.int8)
        seconds = time.process_time() - started
        files = {"onnx": ONNX_FILE, "openvino": OPENVINO_FILE}
        files |= {f"onnx int8 {processor}": int8_file(processor) for processor in config.int8}
        models: dict[str, Any] = {_TORCH: SentenceTransformer(config.model, device="cpu")}
        models |= {name: load_exported(folder, file, threads=1) for name, file in files.items()}
        sizes = {name: _size(Path(folder) / file) for name, file in files.items()}
        rows: dict[str, dict[str, Any]] = {}
        scores: dict[str, RetrievalScores] = {}
        vectors: dict[str, Any] = {}
        for name, model in models.items():
            vectors[name] = encode_texts(model, texts, "query")
            best = search_dense(vectors[name], documents, min(1000, len(item.corpus)))
            found = as_run(list(item.queries), list(item.corpus), *best)
            scores[name] = scores_of_run(item, found)
            rows[name] = {"ndcg@10": scores[name].metrics["ndcg@10"]}
            if name in sizes:
                parity = Parity.of(vectors[_TORCH], vectors[name])
                rows[name]["against torch"] = compare(scores[name], scores[_TORCH]).verdict
                rows[name]["largest_difference"] = parity.largest_difference
                rows[name]["smallest_cosine"] = parity.smallest_cosine
                rows[name]["megabytes"] = round(sizes[name] / 1e6, 1)
            print(name, json.dumps(rows[name]), flush=True)
        for name, speeds in _speeds(models, texts[: config.timed], config.repeats).items():
            rows[name] |= speeds
    results = {
        "command": "python benchmarks/export.py",
        "set": Path(config.eval).name,
        "language": config.language,
        "n": len(texts),
        "export_seconds": round(seconds, 1),
        "speed": "sentences per second of processor time, relative to torch in the same round; one thread",
        "machine": f"{platform.machine()}, int8 instructions: {', '.join(_flags()) or 'unknown'}",
        "versions": {name: version(name) for name in _PACKAGES},
        "rows": rows,
    }
    print(json.dumps(results, indent=1))
    if config.output:
        write_json(Path(config.output), results)


def _speeds(models: dict[str, Any], texts: list[str], repeats: int) -> dict[str, dict[str, float]]:
    """Speed relative to PyTorch, medians over rounds in which every model has its turn."""
    spent: dict[str, dict[int, list[float]]] = {name: {1: [], 32: []} for name in models}
    for number in range(repeats + 1):
        for name, model in models.items():
            for size, seconds in spent[name].items():
                started = time.process_time()
                model.encode_query(texts, batch_size=size, show_progress_bar=False)
                if number:  # the first round warms up
                    seconds.append(time.process_time() - started)
    found: dict[str, dict[str, float]] = {}
    for name, times in spent.items():
        found[name] = {}
        for size, seconds in times.items():
            ratios = [a / b for a, b in zip(spent[_TORCH][size], seconds, strict=True)]
            found[name][f"speed_batch_{size}"] = round(statistics.median(ratios), 2)
            found[name][f"milliseconds_batch_{size}"] = round(1000 * statistics.median(seconds) / len(texts), 2)
    return found


def _size(file: Path) -> int:
    """Of an exported model: OpenVINO's weights lie beside its graph."""
    return sum(path.stat().st_size for path in file.parent.glob(f"{file.stem}.*"))


def _flags() -> list[str]:
    cpu = Path("/proc/cpuinfo")
    known = set(cpu.read_text(encoding="utf-8").split()) if cpu.is_file() else set()
    return sorted(known & {"avx2", "avx_vnni", "avx512bw", "avx512_vnni", "asimddp"})


if __name__ == "__main__":
    run(main, ExportBenchmark)
