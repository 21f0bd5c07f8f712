"""Qdrant against exact search: the same documents, the same queries, the same top 10?

``python benchmarks/qdrant.py --teacher T --student S --data ../shared/data``: 100,000 English documents read by the
teacher, queries of another language read by the student. ``--location URL`` for a server in place of the local mode.
Reference: ``sentence_transformers.util.semantic_search``.
"""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from sentence_transformers.util import semantic_search

from hf_optical.configuration import run
from hf_optical.data.retrieval import read_retrieval_set
from hf_optical.evaluation.document_cache import DocumentCache
from hf_optical.evaluation.encoding import encode_texts
from hf_optical.models import load_encoder
from hf_optical.results import write_json
from hf_optical.search import QdrantIndex

_TIE = 1e-6  # documents whose scores are that close may change places: float32 adds in different orders


@dataclass
class QdrantBenchmark:
    """Options."""

    teacher: str = field(metadata={"help": "Reads the documents."})
    student: str = field(metadata={"help": "Reads the queries."})
    data: str = field(default="../shared/data", metadata={"help": "Folder with bitext/, en_retrieval/ and eval/."})
    eval: str = field(default="ntrex_passage", metadata={"help": "Retrieval set of eval/ that has the queries."})
    language: str = field(default="swh_Latn", metadata={"help": "Of the queries."})
    documents: int = field(default=100_000, metadata={"help": "How many."})
    location: str | None = field(default=None, metadata={"help": "URL or folder; a temporary folder if not given."})
    cache: str | None = field(default=None, metadata={"help": "Folder that keeps the document vectors between runs."})
    output: str | None = field(default=None, metadata={"help": "Write the figures into this JSON file."})


def main(config: QdrantBenchmark) -> None:
    """Encode once, index, query, compare."""
    teacher, student = load_encoder(config.teacher), load_encoder(config.student)
    item = read_retrieval_set(Path(config.data) / "eval" / config.eval, config.language)
    texts = list(islice(_documents(config, item.corpus.values()), config.documents))
    queries = list(item.queries.values())
    vectors: Any = DocumentCache(config.cache).vectors(teacher, texts, show_progress=True)  # type: ignore[arg-type]
    asked: Any = encode_texts(student, queries, "query")  # type: ignore[arg-type]
    started = time.perf_counter()
    expected = semantic_search(asked, np.asarray(vectors), top_k=11)
    exact_seconds = time.perf_counter() - started
    with TemporaryDirectory() as folder:
        location = config.location or str(Path(folder) / "store")
        with QdrantIndex(teacher, student, location=location, collection="benchmark") as index:
            ids = [str(number) for number in range(len(texts))]
            started = time.perf_counter()
            index.add(ids, vectors=vectors, show_progress=True)
            upload = time.perf_counter() - started
            started = time.perf_counter()
            added = index.add(ids, vectors=vectors)
            again = time.perf_counter() - started
            started = time.perf_counter()
            found = index.query_vectors(asked, top_k=10)
            seconds = time.perf_counter() - started
            count = len(index)
    same = [_same(hits, rows) for hits, rows in zip(found, expected, strict=True)]
    identical = [
        [hit.id for hit in hits] == [str(row["corpus_id"]) for row in rows[:10]]
        for hits, rows in zip(found, expected, strict=True)
    ]
    results = {
        "documents": count,
        "dimension": int(np.asarray(vectors).shape[1]),
        "queries": len(queries),
        "location": "server" if config.location and config.location.startswith("http") else "local mode",
        "same_top_10": float(np.mean(same)),
        "same_top_10_in_the_same_order": float(np.mean(identical)),
        "upload_seconds": round(upload, 2),
        "second_upload_adds": added,
        "second_upload_seconds": round(again, 2),
        "milliseconds_per_query": round(1000 * seconds / len(queries), 2),
        "milliseconds_per_query_semantic_search": round(1000 * exact_seconds / len(queries), 2),
    }
    print(json.dumps(results, indent=1))
    if config.output:
        write_json(Path(config.output), results)


def _same(hits: list[Any], rows: list[dict[str, Any]]) -> bool:
    """Whether the ten documents are the same, those that tie with the tenth apart."""
    if len(hits) != min(10, len(rows)):
        return False
    tenth = rows[9]["score"]
    sure = {str(row["corpus_id"]) for row in rows if row["score"] > tenth + _TIE}
    allowed = sure | {str(row["corpus_id"]) for row in rows if abs(row["score"] - tenth) <= _TIE}
    found = {hit.id for hit in hits}
    return sure <= found <= allowed


def _documents(config: QdrantBenchmark, first: Any) -> Iterator[str]:
    """The set's own documents, then English sentences and passages of the training data, each once."""
    seen: set[str] = set()
    for text in _texts(config, first):
        if text not in seen:
            seen.add(text)
            yield text


def _texts(config: QdrantBenchmark, first: Any) -> Iterator[str]:
    yield from first
    for path, column in [
        (Path(config.data) / "en_retrieval" / "train.jsonl.gz", "passage"),
        *((path, "en") for path in sorted((Path(config.data) / "bitext").glob("*.train.jsonl.gz"))),
    ]:
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            yield from (json.loads(line)[column] for line in stream)


if __name__ == "__main__":
    run(main, QdrantBenchmark)
