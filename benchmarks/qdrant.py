"""Qdrant against exact search: the same documents, the same queries, the same top 10? And an upload that is killed?

``python benchmarks/qdrant.py --teacher T --student S --data ../shared/data``: 100,000 English documents read by the
teacher, queries of another language read by the student. The upload is killed half-way (SIGKILL) and run again.
``--location URL`` for a server in place of the local mode; nothing is killed there.
Reference: ``sentence_transformers.util.semantic_search``.
"""

from __future__ import annotations

import gzip
import json
import multiprocessing
import signal
import sqlite3
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from sentence_transformers.util import semantic_search

from hf_optical.configuration.parsing import run
from hf_optical.data.retrieval import read_retrieval_set
from hf_optical.encoders.encoding import encode_texts
from hf_optical.encoders.models import load_encoder
from hf_optical.evaluation.document_cache import DocumentCache
from hf_optical.results.files import write_json
from hf_optical.search import QdrantIndex

_TIE = 1e-6  # documents whose scores are that close may change places: float32 adds in different orders
_COLLECTION = "benchmark"


@dataclass
class QdrantBenchmark:
    """Options."""

    teacher: str = field(metadata={"help": "Reads the documents.", "path": True})
    student: str = field(metadata={"help": "Reads the queries.", "path": True})
    data: str = field(default="../shared/data", metadata={"help": "Folder with bitext/ and eval/.", "path": True})
    eval: str = field(default="ntrex_bitext", metadata={"help": "Retrieval set of eval/ that has the queries."})
    language: str = field(default="swh_Latn", metadata={"help": "Of the queries."})
    documents: int = field(default=100_000, metadata={"help": "How many."})
    queries: int | None = field(default=None, metadata={"help": "Ask so many of the set's queries; all by default."})
    location: str | None = field(
        default=None, metadata={"help": "URL or folder; a temporary folder if not given.", "path": True}
    )
    cache: str | None = field(
        default=None, metadata={"help": "Folder that keeps the document vectors between runs.", "path": True}
    )
    output: str | None = field(default=None, metadata={"help": "Write the figures into this JSON file.", "path": True})


def main(config: QdrantBenchmark) -> None:
    """Encode once, index, query, compare."""
    teacher: Any = load_encoder(config.teacher)
    student: Any = load_encoder(config.student)
    item = read_retrieval_set(Path(config.data) / "eval" / config.eval, config.language)
    texts = _documents(config, item.corpus.values())
    ids = [str(number) for number in range(len(texts))]
    queries = list(item.queries.values())[: config.queries]
    vectors = np.asarray(DocumentCache(config.cache).vectors(teacher, texts, show_progress=True))
    asked: Any = encode_texts(student, queries, "query")
    (expected, exact), spent = _timed(lambda: semantic_search(asked, vectors, top_k=11)), {}
    server = bool(config.location and config.location.startswith("http"))
    with TemporaryDirectory() as folder:
        location = config.location or str(Path(folder) / "store")
        killed_at = None if server else _killed_half_way(location, student, ids, vectors)
        index, spent["open"] = _timed(lambda: _open(location, student))
        with index:
            kept = len(index)
            added, spent["upload"] = _timed(lambda: index.add(ids, vectors=vectors, show_progress=True))
            again, spent["second_upload"] = _timed(lambda: index.add(ids, vectors=vectors))
            found, asking = _timed(lambda: index.query_vectors(asked, top_k=10))
            stored = [point.payload["id"] for point in index.client.scroll(_COLLECTION, limit=len(ids) + 1)[0]]
        size = sum(path.stat().st_size for path in Path(location).rglob("*") if path.is_file()) if not server else None
    rows = list(zip(found, expected, strict=True))
    results = {
        "documents": len(stored),
        "dimension": int(vectors.shape[1]),
        "queries": len(queries),
        "language": config.language,
        "location": "server" if server else "local mode",
        "same_top_10": float(np.mean([_same(hits, best) for hits, best in rows])),
        "same_top_10_in_the_same_order": float(
            np.mean([[hit.id for hit in hits] == [str(row["corpus_id"]) for row in best[:10]] for hits, best in rows])
        ),
        "killed_at": killed_at,
        "kept_after_the_kill": kept,
        "added_after_the_kill": added,
        "stored_twice": len(stored) - len(set(stored)),
        "missing": len(set(ids) - set(stored)),
        "third_upload_adds": again,
        "megabytes": round(size / 1e6, 1) if size is not None else None,
        "seconds": {name: round(value, 1) for name, value in spent.items()},
        "milliseconds_per_query": round(1000 * asking / len(queries), 2),
        "milliseconds_per_query_semantic_search": round(1000 * exact / len(queries), 2),
        "clock": "processor time of this process",
    }
    print(json.dumps(results, indent=1))
    if config.output:
        write_json(Path(config.output), results)


def _timed(action: Any) -> tuple[Any, float]:
    started = time.process_time()
    return action(), time.process_time() - started


def _open(location: str, student: Any) -> QdrantIndex:
    return QdrantIndex(queries=student, location=location, collection=_COLLECTION)


def _upload(location: str, student: Any, ids: list[str], vectors: np.ndarray) -> None:
    with _open(location, student) as index:
        index.add(ids, vectors=vectors)


def _killed_half_way(location: str, student: Any, ids: list[str], vectors: np.ndarray) -> int:
    """Upload in another process, and kill that when half of the points are on the disk."""
    # Forked: it has the vectors and the libraries already.
    process = multiprocessing.get_context("fork").Process(target=_upload, args=(location, student, ids, vectors))
    process.start()
    database = Path(location) / "collection" / _COLLECTION / "storage.sqlite"
    while process.is_alive() and _on_disk(database) < len(ids) // 2:
        time.sleep(0.05)
    process.kill()
    process.join()
    if process.exitcode != -signal.SIGKILL:
        raise SystemExit("the upload was over before it could be killed; give more --documents")
    return _on_disk(database)


def _on_disk(database: Path) -> int:
    if not database.is_file():
        return 0
    try:
        connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
        try:
            return int(connection.execute("SELECT max(rowid) FROM points").fetchone()[0] or 0)
        finally:
            connection.close()
    except sqlite3.OperationalError:  # made, but without its table yet
        return 0


def _same(hits: list[Any], rows: list[dict[str, Any]]) -> bool:
    """Whether the ten documents are the same, those that tie with the tenth apart."""
    if len(hits) != min(10, len(rows)):
        return False
    tenth = rows[9]["score"]
    sure = {str(row["corpus_id"]) for row in rows if row["score"] > tenth + _TIE}
    allowed = sure | {str(row["corpus_id"]) for row in rows if abs(row["score"] - tenth) <= _TIE}
    found = {hit.id for hit in hits}
    return sure <= found <= allowed


def _documents(config: QdrantBenchmark, own: Iterable[str]) -> list[str]:
    """The set's own documents, then English sentences of the bitext, the shortest first, each once."""
    chosen = dict.fromkeys(own)
    others: set[str] = set()
    for path in sorted((Path(config.data) / "bitext").glob("*.train.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as stream:
            others.update(json.loads(line)["en"] for line in stream)
    # Short ones, because reading them is what takes long here, and the index does not see how long a text was.
    chosen |= dict.fromkeys(sorted(others - chosen.keys(), key=lambda text: (len(text), text)))
    return list(chosen)[: config.documents]


if __name__ == "__main__":
    run(main, QdrantBenchmark)
